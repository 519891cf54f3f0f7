"""The practice exchange: an independent reading of the venue's protocol, to trade against and to test with."""
