"""The pass over sessions, compiled where numba is installed, as plain Python where it is not.

Compiling changes nothing but the speed: numba is given the very functions of `livekit.strategy`
that the live books call, so there is no second copy of a rule. The machine code is kept in a
folder named by a hash of all sources that went into it (numba itself only looks at the file of
the outermost function), so that an edited rule can never meet code of its former self.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from livekit.backtest import pass_arrays, session_pass
from livekit.strategy import position_rules, rules, sizing, weekly_bars

__all__ = ["Engine", "compiled_engine", "engine_for", "plain_engine"]

_CALLED = (rules, sizing, position_rules, session_pass)
_CALLED_FUNCTIONS = (weekly_bars.compute_weekly_ema, weekly_bars.compute_weekly_nweek_low)
_SOURCES = (*_CALLED, weekly_bars, pass_arrays)

# A plain pass takes some 10 µs for a session of a place, loading numba about a second.
_WORTH_COMPILING = 100_000


@dataclass(frozen=True)
class Engine:
    """The three functions of `session_pass`, and whether they are machine code."""

    trade_book: Callable[..., None]
    trade_alone: Callable[..., None]
    fill_lines: Callable[..., Any]
    is_compiled: bool


def plain_engine() -> Engine:
    """The functions as Python runs them."""
    return Engine(
        session_pass.trade_book,
        session_pass.trade_alone,
        session_pass.fill_lines,
        is_compiled=False,
    )


@cache
def compiled_engine() -> Engine:
    """The functions compiled, or the plain ones where numba is absent or refuses this numpy."""
    try:
        numba, extending = (importlib.import_module(name) for name in ("numba", "numba.extending"))
    except ImportError:
        return plain_engine()
    outermost = (session_pass.trade_book, session_pass.trade_alone, session_pass.fill_lines)
    for function in _called_functions():
        if function not in outermost:
            extending.register_jitable(forceinline=True)(function)
    folder = _cache_folder(numba.__version__)
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(folder or before)
    try:
        compiler = numba.njit(cache=folder is not None, error_model="numpy")
        book, alone, lines = (compiler(one) for one in outermost)
    finally:
        numba.config.CACHE_DIR = before
    return Engine(book, alone, lines, is_compiled=not numba.config.DISABLE_JIT)


def engine_for(place_sessions: int) -> Engine:
    """The engine that is done first: compiled if it is loaded already or the work is long.

    Args:
        place_sessions: sessions times places of the book, over all passes to come.
    """
    loaded = compiled_engine.cache_info().currsize > 0
    return compiled_engine() if loaded or place_sessions >= _WORTH_COMPILING else plain_engine()


def _called_functions() -> tuple[Callable[..., Any], ...]:
    own = [
        function
        for module in _CALLED
        for _, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
    ]
    return (*own, *_CALLED_FUNCTIONS)


def _cache_folder(version: str) -> Path | None:
    """A folder below the environment or the user's cache, None where neither can be written."""
    digest = hashlib.sha256(f"{version} {sys.version}".encode())
    for module in (*_SOURCES, sys.modules[__name__]):
        digest.update(inspect.getsource(module).encode())
    user = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    for home in (Path(sys.prefix) / "var", user):
        folder = home / "earnings-livekit" / digest.hexdigest()[:16]
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return None
