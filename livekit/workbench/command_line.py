"""What all commands share: an error of our own tree is one line on standard error and an exit code.

A crash keeps its traceback, and so its exit code 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn

from livekit.errors import LivekitError, PathUnusable, UsageError

__all__ = ["OneLineParser", "exit_code_of"]


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose complaint is a `UsageError` instead of a page of usage."""

    def error(self, message: str) -> NoReturn:
        """Raise the complaint; ``--help`` still shows the usage."""
        raise UsageError(f"{message} (see {self.prog} --help)")


def exit_code_of(command: Callable[[], int]) -> int:
    """Run a command; a refusal is printed as one line and its exit code returned."""
    try:
        return command()
    except LivekitError as error:
        refusal = error
    except OSError as error:
        if error.filename is None:  # not about a file: a crash
            raise
        refusal = PathUnusable(str(error.filename), error.strerror or str(error))
    sys.stderr.write(f"{refusal.operator_line()}\n")
    return refusal.exit_code
