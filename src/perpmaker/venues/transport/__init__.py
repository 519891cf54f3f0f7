"""What every venue adapter needs from a network: pooled HTTP, links that come back, budgets. Knows no venue."""
