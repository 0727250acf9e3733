"""Who asks: keys and the principals behind them."""
