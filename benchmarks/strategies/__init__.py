"""The market maker measured against the peers' published strategies, on days that nothing was tuned on."""
