"""Seeded random days of the real code against the simulated venue, judged by the invariants."""
