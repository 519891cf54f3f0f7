"""The peers' strategies, written from their published definitions; each file says what those leave open."""
