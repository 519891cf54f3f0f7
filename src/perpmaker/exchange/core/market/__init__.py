"""The simulated market: participants around a latent price who trade in the venue's own books."""
