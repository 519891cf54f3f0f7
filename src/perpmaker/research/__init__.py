"""What is worked out afterwards from journals and tapes: reports, pictures. Nothing here trades."""
