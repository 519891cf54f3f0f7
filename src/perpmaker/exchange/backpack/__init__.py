"""The practice exchange's second face: Backpack."""
