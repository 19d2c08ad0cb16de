"""What tells a person how things stand: alerts, digest, status, timers, the live view."""
