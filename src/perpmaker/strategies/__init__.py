"""What to quote and hold. Imports the model and nothing that can act."""
