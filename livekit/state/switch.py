"""The kill switch and the small settings beside it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, insert

from livekit.errors import LivekitError, RecordRefused, StateUnusable
from livekit.state.gateway import Gateway
from livekit.state.tables import system_config

__all__ = ["Switch", "arm"]

KILL_SWITCH = "kill_switch"
ON, OFF = "on", "off"

Value = TypeVar("Value")


def arm(connection: Connection) -> None:
    """Write the first kill-switch row: off. Without it the switch counts as on."""
    row: dict[str, Any] = {"key": KILL_SWITCH, "value": OFF, "reason": "new database"}
    connection.execute(insert(system_config), row)


class Switch(Gateway):
    """``system_config``."""

    def is_kill_switch_on(self) -> bool:
        """Whether trading is stopped: only a readable row that says ``off`` means no."""
        try:
            return self.get_config(KILL_SWITCH) != OFF
        except LivekitError:
            return True

    def kill_switch_reason(self) -> str:
        """Who last set the switch and why; or why it counts as on."""
        try:
            row = self._config(KILL_SWITCH)
        except LivekitError as error:
            return f"its state cannot be read ({error})"
        if row is None:
            return "its row is missing"
        if row.value not in (ON, OFF):
            return f"its value is {row.value!r}, neither on nor off"
        return f"{row.reason} ({row.who})" if row.who else str(row.reason)

    def kill_switch_set_at(self) -> datetime | None:
        """When the switch was last set; None if it never was."""
        row = self._config(KILL_SWITCH)
        found: datetime | None = None if row is None else row.updated_at
        return found

    def set_kill_switch(self, on: bool, *, reason: str, who: str, at: datetime) -> None:  # noqa: FBT001
        """Turn the switch on or off; raises `RecordRefused` without a reason and a name."""
        if not reason.strip() or not who.strip():
            raise RecordRefused("kill switch", "wants a reason and who sets it")
        values = {"value": ON if on else OFF, "reason": reason, "who": who, "updated_at": at}
        self._upsert(system_config, {"key": KILL_SWITCH}, values)

    def get_config(self, key: str) -> str | None:
        """The value stored under ``key``, or None."""
        row = self._config(key)
        return None if row is None else str(row.value)

    def read_config(self, key: str, read: Callable[[str], Value]) -> Value | None:
        """The value stored under ``key`` as ``read`` makes it of its text, or None.

        Raises `StateUnusable` where the text is not what it should be.
        """
        text = self.get_config(key)
        try:
            return None if text is None else read(text)
        except (ValueError, ArithmeticError) as error:
            raise StateUnusable(self.name, f"its setting {key} is {text!r}") from error

    def require_config(self, key: str, read: Callable[[str], Value]) -> Value:
        """As `read_config`; raises `StateUnusable` where there is none."""
        found = self.read_config(key, read)
        if found is None:
            raise StateUnusable(self.name, f"its setting {key} is absent")
        return found

    def _config(self, key: str) -> Any:
        found = self._find(system_config, {"key": key})
        return found[0] if found else None

    def set_config(self, key: str, value: str) -> None:
        """Store ``value`` under ``key``; the kill switch has its own method."""
        if key == KILL_SWITCH:
            raise RecordRefused("kill switch", "is set with a reason only")
        self._upsert(system_config, {"key": key}, {"value": value})
