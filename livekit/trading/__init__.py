"""The acts: what a phase of the day does, decided by `livekit.strategy`."""
