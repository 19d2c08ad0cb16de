"""Timers that call the daily run: when it looks, not what it does.

Every line calls the same idempotent ``livekit daily``, in exchange time. Holidays, half days and
what is due are decided there, from the calendar; so the lines name the times of a normal day and
those of a half day, and a call with nothing to do ends with exit code 0.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from livekit.sessions import EXCHANGE_ZONE, exchange_time
from livekit.trading.phases import EXECUTION, PROTECT, RECONCILIATION, SIGNALS, due_instant

__all__ = ["Call", "Times", "cron_text", "phase_times", "systemd_units"]

NORMAL_DAY = date(2025, 11, 26)
HALF_DAY = date(2025, 11, 28)  # the day after Thanksgiving closes at 13:00
RETRY_MINUTES = 10
LONGEST_RUN = "90min"


@dataclass(frozen=True, slots=True)
class Times:
    """What the daily run may have to do at one time of the exchange's wall clock, ``HH:MM``."""

    at: str
    what: str


@dataclass(frozen=True, slots=True)
class Call:
    """What the timers call: interpreter, parameter file and working folder, all absolute."""

    profile: str
    python: Path
    params: Path
    folder: Path
    outputs: Path | None = None

    def words(self, command: str) -> list[str]:
        """The command's words."""
        more = ["--outputs", str(self.outputs)] if self.outputs else []
        return [str(self.python), "-m", "livekit", command, "--params", str(self.params), *more]


def phase_times() -> tuple[Times, ...]:
    """The times of a day, those of a half day among them, in order."""
    normal = [(SIGNALS, ""), (EXECUTION, ""), (PROTECT, ""), (RECONCILIATION, " and comparison")]
    found = [Times(_clock_text(due_instant(p, NORMAL_DAY)), f"{p}{more}") for p, more in normal]
    found += [
        Times(_clock_text(due_instant(p, HALF_DAY)), f"{p}{more} of a half day")
        for p, more in normal[2:]
    ]
    return tuple(sorted(found, key=lambda item: item.at))


def _clock_text(instant: datetime) -> str:
    return f"{exchange_time(instant):%H:%M}"


# --------------------------------------------------------------------------------------- systemd


def systemd_units(call: Call) -> dict[str, str]:
    """File names and texts of two services and their timers, for ``~/.config/systemd/user``."""
    name = f"livekit-{call.profile}"
    zone = EXCHANGE_ZONE.key
    days = [f"# {item.what}\nOnCalendar=Mon..Fri {item.at} {zone}" for item in phase_times()]
    retry = [f"OnCalendar=*:0/{RETRY_MINUTES}"]
    return {
        f"{name}.service": _service(call, "daily", "the phases that are due"),
        f"{name}.timer": _timer(call, "daily run", days),
        f"{name}-notify.service": _service(call, "notify", "alerts that are due"),
        f"{name}-notify.timer": _timer(call, "alerts", retry),
    }


def _service(call: Call, command: str, what: str) -> str:
    words = " ".join(_systemd_word(word) for word in call.words(command))
    return f"""\
[Unit]
Description=livekit {call.profile}: {what}
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
WorkingDirectory={str(call.folder).replace("%", "%%")}
# keys and addresses: a file that only you can read, lines of NAME=value
EnvironmentFile=-%h/.config/livekit/{call.profile}.env
ExecStart={words}
# the executor is a child of its own and must outlive a run that is stopped
KillMode=process
TimeoutStartSec={LONGEST_RUN}
UMask=0077
"""


def _systemd_word(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace("%", "%%").replace("$", "$$").replace('"', '\\"')
    return f'"{escaped}"' if any(mark in word for mark in " \t'\";") else escaped


def _timer(call: Call, what: str, lines: list[str]) -> str:
    return "\n".join(
        [
            "[Unit]",
            f"Description=livekit {call.profile}: times of the {what}",
            "",
            "[Timer]",
            *lines,
            "# after a reboot the last call is made up; what is past is refused by the run itself",
            "Persistent=true",
            "AccuracySec=1s",
            "",
            "[Install]",
            "WantedBy=timers.target",
            "",
        ]
    )


# ------------------------------------------------------------------------------------------ cron


def cron_text(call: Call) -> str:
    """Lines for ``crontab``; where cron knows no CRON_TZ, the host must keep exchange time."""
    lines = [
        f"# livekit {call.profile}; times of the exchange (cronie, fcron and others know CRON_TZ)",
        f"CRON_TZ={EXCHANGE_ZONE.key}",
    ]
    for item in phase_times():
        hour, minute = item.at.split(":")
        lines += [f"# {item.what}", f"{int(minute)} {int(hour)} * * 1-5 {_cron(call, 'daily')}"]
    retry = f"*/{RETRY_MINUTES} * * * * {_cron(call, 'notify')}"
    return "\n".join([*lines, "# alerts that are due", retry, ""])


def _cron(call: Call, command: str) -> str:
    """A shell command; cron turns a bare percent sign into a new line."""
    words = " ".join(shlex.quote(word) for word in call.words(command))
    return f"cd {shlex.quote(str(call.folder))} && {words}".replace("%", "\\%")
