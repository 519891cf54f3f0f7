"""Order state table, working orders and quote diff, reconciliation, execution algorithms."""
