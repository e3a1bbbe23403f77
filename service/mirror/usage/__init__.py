"""Uses of assets: where they come from, who is behind them, and what a window of 30 days comes to."""
