"""How slow the processor is just now, for promises in seconds that must hold on a busy machine."""

import time

QUIET_S = 0.05  # the loop below on a quiet machine of the kind that the promises speak of


def slowness() -> float:
    """The present time of a fixed loop over its time on a quiet machine, at least 1."""
    started = time.process_time()
    sum(number * number for number in range(1_000_000))
    return max(1.0, (time.process_time() - started) / QUIET_S)
