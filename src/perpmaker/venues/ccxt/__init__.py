"""Any venue that ccxt knows, as MarketFeed and OrderGateway. What is peculiar to one stands in the table of `quirks`."""
