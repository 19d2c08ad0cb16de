"""The exchange and the account as a pure state machine: the same calls give the same book."""
