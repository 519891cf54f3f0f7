"""Books judged whole, uncrossed and fresh; own orders subtracted."""
