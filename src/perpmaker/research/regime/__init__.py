"""Training of the regime model, and the report that says whether it pays."""
