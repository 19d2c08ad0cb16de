"""A backtest as a person runs it: its inputs, its record, its tables and charts, its page."""
