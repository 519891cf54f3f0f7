"""Other people's recordings as tapes: one module per format, `convert` for the way from files to a tape."""
