"""The acts: what a phase of the day does, decided by `livekit.strategy`."""

from livekit.trading.trailing_stop_checker import TrailingStopChecker, TrailingStopResult

__all__ = ["TrailingStopChecker", "TrailingStopResult"]
