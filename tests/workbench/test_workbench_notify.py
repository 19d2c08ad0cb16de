"""Alerts on their way: each arrives once at each target, however often it has to be tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from filelock import FileLock
from receiver import Receiver, receiving

from livekit import cli
from livekit.config import LiveConfig, Profile
from livekit.errors import BooksDiffer, LockHeld
from livekit.state import StateDB
from livekit.workbench.daily import DailyReport, PhaseReport
from livekit.workbench.notify import Pings, Target, apprise_send, secret_parts, targets_of
from livekit.workbench.watching.outbox import deliver
from livekit.workbench.watching.watch import Watch, idle_since, missed_sessions

THURSDAY, FRIDAY = date(2020, 1, 30), date(2020, 1, 31)
NOON = datetime(2020, 1, 31, 17, tzinfo=UTC)
TOKEN = "t0ken-0f-the-channel"


@dataclass
class FakeClock:
    instant: datetime = NOON

    def now(self) -> datetime:
        return self.instant

    def sleep(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)


@dataclass
class Recorder:
    """A sender that notes what it was given and answers as told; it may die half way."""

    troubles: list[str] = field(default_factory=list)
    sent: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, target: Target, title: str, body: str) -> str:
        self.sent.append((target.name, body.splitlines()[0]))
        trouble = self.troubles.pop(0) if self.troubles else ""
        if trouble == "dies":
            raise KeyboardInterrupt
        return trouble


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    return Profile(venue="simulated", name="told", outputs=tmp_path, trading=LiveConfig())


@pytest.fixture
def db(profile: Profile) -> Iterator[StateDB]:
    with StateDB.create(profile.state_db) as opened:
        yield opened


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as listening:
        yield listening


A, B = Target("json-a", "json://a"), Target("json-b", "json://b")


def alert(db: StateDB, text: str = "BROKEN", kind: str = "break") -> int:
    return db.add_alert(kind, text, at=NOON, severity="critical")


# --------------------------------------------------------------------------------------- targets


def test_addresses_are_split_at_blanks_and_commas_and_never_shown():
    url = f"json://user:{TOKEN}@127.0.0.1/a,b"
    found = targets_of({"APPRISE_URLS": f"{url}, json://other\njson://other"})
    assert [target.url for target in found] == [url, "json://other"]
    assert TOKEN not in repr(found)
    assert targets_of({"APPRISE_URLS": "json://a", "LIVEKIT_NOTIFY_URLS": "json://b"}) == (
        targets_of({"APPRISE_URLS": "json://b"})
    )
    assert targets_of({}) == ()


def test_tokens_of_addresses_are_secrets_and_plain_words_are_not():
    parts = secret_parts(
        {
            "LIVEKIT_NOTIFY_URLS": f"slack://T1JJ3T3L2/A1BRTD4JD/{TOKEN}/services",
            "HEALTHCHECKS_URL": "https://hc.example/ping/0b5c1f8e-aaaa",
        }
    )
    assert {TOKEN, "A1BRTD4JD", "0b5c1f8e-aaaa"} <= set(parts)
    assert not {"services", "ping", "hc.example"} & set(parts)


# ---------------------------------------------------------------------------------------- outbox


def test_an_alert_arrives_once_at_every_target(profile: Profile, db: StateDB):
    send = Recorder()
    alert(db, "one")
    alert(db, "two")
    for _ in range(3):
        deliver(profile, db, [A, B], FakeClock(), send=send)
    assert sorted(send.sent) == [(t.name, text) for t in (A, B) for text in ("one", "two")]
    assert db.pending_alerts() == []


def test_a_target_that_fails_is_tried_again_later_and_later_and_the_other_is_not(
    profile: Profile, db: StateDB
):
    """Waits of 1, 2 and 4 minutes after the first, second and third failure."""
    clock, send = FakeClock(), Recorder()
    alert(db)
    instants = []
    for _ in range(9):
        before = len(send.sent)
        send.troubles = ["", "down"] if before == 0 else ["down"]
        deliver(profile, db, [A, B], clock, send=send)
        if len(send.sent) > before:
            instants.append((clock.instant - NOON).seconds // 60)
        clock.sleep(60)
    assert instants == [0, 1, 3, 7]
    assert [name for name, _ in send.sent] == ["json-a"] + ["json-b"] * 4
    (waiting,) = db.open_deliveries()
    assert (waiting.attempts, waiting.trouble) == (4, "down")
    clock.sleep(3600)
    deliver(profile, db, [A, B], clock, send=Recorder())
    assert db.pending_alerts() == []


def test_waiting_never_takes_longer_than_six_hours(profile: Profile, db: StateDB):
    clock = FakeClock()
    alert(db)
    for _ in range(30):
        deliver(profile, db, [A], clock, send=Recorder(["down"]))
        clock.sleep(6 * 3600)
    assert db.open_deliveries()[0].attempts == 30


def test_a_program_that_dies_while_sending_loses_nothing(profile: Profile, db: StateDB):
    clock = FakeClock()
    alert(db)
    with pytest.raises(KeyboardInterrupt):
        deliver(profile, db, [A], clock, send=Recorder(["dies"]))
    (waiting,) = db.open_deliveries()
    assert waiting.trouble == "sent, the answer is not known"
    clock.sleep(60)
    send = Recorder()
    assert deliver(profile, db, [A], clock, send=send).arrived == 1
    assert send.sent == [("json-a", "BROKEN")]


def test_two_processes_do_not_deliver_at_once(profile: Profile, db: StateDB):
    alert(db)
    send = Recorder()
    with FileLock(profile.home / "notify.lock"):
        deliver(profile, db, [A], FakeClock(), send=send)
    assert send.sent == []
    assert len(db.pending_alerts()) == 1


def test_a_target_that_is_added_later_hears_what_nobody_heard(profile: Profile, db: StateDB):
    alert(db, "told to nobody")
    assert deliver(profile, db, [], FakeClock()).arrived == 0
    send = Recorder()
    deliver(profile, db, [A], FakeClock(), send=send)
    assert send.sent == [("json-a", "told to nobody")]
    deliver(profile, db, [A, B], FakeClock(), send=send)
    assert len(send.sent) == 1  # delivered already; a new target gets no old news


# ------------------------------------------------------------------------------ a real receiver


def test_a_real_receiver_gets_title_and_text(profile: Profile, db: StateDB, receiver: Receiver):
    number = alert(db, "AAL: ours 100, broker's 90", kind="break")
    (target,) = targets_of({"APPRISE_URLS": f"json://127.0.0.1:{receiver.port}/{TOKEN}"})
    assert deliver(profile, db, [target], FakeClock()).arrived == 1
    assert receiver.titles == ["[told SIMULATED] critical: break"]
    (body,) = receiver.bodies
    assert body.splitlines()[0] == "AAL: ours 100, broker's 90"
    assert f"alert {number}, 2020-01-31 12:00:00 New York" in body


def test_a_receiver_that_refuses_gets_it_later_and_its_address_is_told_to_nobody(
    profile: Profile, db: StateDB, receiver: Receiver, capfd: pytest.CaptureFixture[str]
):
    clock = FakeClock()
    (target,) = targets_of({"APPRISE_URLS": f"json://127.0.0.1:{receiver.port}/{TOKEN}"})
    alert(db)
    receiver.answer = 500
    assert deliver(profile, db, [target], clock).failed == 1
    assert TOKEN not in db.open_deliveries()[0].trouble
    receiver.answer = 200
    clock.sleep(60)
    assert deliver(profile, db, [target], clock).arrived == 1
    assert len(receiver.messages) == 1
    shown = capfd.readouterr()
    assert TOKEN not in shown.out + shown.err


def test_an_address_that_is_none_is_a_failure_and_no_crash():
    assert "does not understand" in apprise_send(Target("x", "nonsense://"), "title", "body")


# ----------------------------------------------------------------------------------------- pings


def test_pings_tell_start_success_and_failure(receiver: Receiver):
    pings = Pings(f"http://127.0.0.1:{receiver.port}/{TOKEN}")
    assert [pings.start(), pings.end(0), pings.end(4, "books differ")] == ["", "", ""]
    assert receiver.paths == [f"/{TOKEN}/start", f"/{TOKEN}", f"/{TOKEN}/4"]
    assert TOKEN not in repr(pings)


def test_a_ping_that_cannot_be_sent_says_so_without_its_address(receiver: Receiver):
    receiver.answer = 404
    assert Pings(f"http://127.0.0.1:{receiver.port}/x").start() == "ping failed: HTTP 404"
    assert Pings("http://127.0.0.1:1/x").start() == "ping failed: ConnectionError"
    assert Pings("no address").start().startswith("ping failed: ")
    assert Pings("").start() == ""


# ----------------------------------------------------------------------------------------- watch

ALL = ("signals", "execution", "protect", "reconciliation", "comparison")


def logged(db: StateDB, session: date, phases: tuple[str, ...] = ALL, code: int = 0) -> None:
    at = datetime(session.year, session.month, session.day, 13, tzinfo=UTC)
    for phase in phases:
        run_id = db.start_run(
            session=session, phase=phase, at=at, venue="simulated", git="", config_sha256=""
        )
        status = "done" if code in (0, 5) else "failed"
        db.finish_run(run_id, at=at, status=status, exit_code=code)


def test_a_session_without_its_runs_is_missed_once_its_time_is_over(db: StateDB):
    """Friday's evening can still be made up until Monday's open."""
    logged(db, THURSDAY)
    logged(db, FRIDAY, ("signals",))
    evening = datetime(2020, 1, 31, 23, tzinfo=UTC)
    assert missed_sessions(db.get_runs(), evening) == {FRIDAY: ("execution", "protect")}
    tuesday = datetime(2020, 2, 4, 23, tzinfo=UTC)
    missed = missed_sessions(db.get_runs(), tuesday)
    assert missed[date(2020, 2, 3)] == ALL
    assert date(2020, 2, 1) not in missed  # a Saturday
    assert missed_sessions([], tuesday) == {}


def test_five_green_sessions_without_a_fill_are_suspicious(db: StateDB):
    days = [date(2020, 1, day) for day in (27, 28, 29, 30, 31)]
    for day in days[:-1]:
        logged(db, day)
    assert idle_since(db.get_runs(), []) is None  # four sessions so far
    logged(db, days[-1])
    assert idle_since(db.get_runs(), [date(2020, 1, 24)]) == days[0]
    assert idle_since(db.get_runs(), [date(2020, 1, 29)]) is None
    logged(db, days[-1], ("reconciliation",), code=4)
    assert idle_since(db.get_runs(), []) is None  # a red run speaks for itself


def watch(profile: Profile, receiver: Receiver, said: list[str]) -> Watch:
    environ = {
        "LIVEKIT_NOTIFY_URLS": f"json://127.0.0.1:{receiver.port}/{TOKEN}",
        "LIVEKIT_PING_URL": f"http://127.0.0.1:{receiver.port}/ping",
    }
    return Watch(profile, clock=FakeClock(), environ=environ, say=said.append)


def report(*phases: PhaseReport) -> DailyReport:
    return DailyReport(FRIDAY, phases)


def test_a_break_is_told_with_pings_and_a_digest_and_only_once(
    profile: Profile, db: StateDB, receiver: Receiver
):
    logged(db, FRIDAY)
    said: list[str] = []
    broken = PhaseReport("reconciliation", "failed", 4, ("break: position AAL: 100 against 90",))
    done = PhaseReport("comparison", "done", 0)
    for _ in range(2):
        with watch(profile, receiver, said).run() as tell:
            tell(report(broken, done))
    assert receiver.titles == [
        "[told SIMULATED] critical: break",
        "[told SIMULATED] digest",
    ]
    assert receiver.bodies[0].startswith(f"reconciliation of {FRIDAY}: break: position AAL")
    assert receiver.bodies[1].startswith(f"Session {FRIDAY}: signals done, execution done")
    assert [path for path in receiver.paths if "ping" in path] == ["/ping/start", "/ping/4"] * 2
    assert said == []


def test_a_run_that_is_refused_or_crashes_pings_its_exit_code(
    profile: Profile, db: StateDB, receiver: Receiver
):
    said: list[str] = []
    with (
        pytest.raises(BooksDiffer),
        watch(profile, receiver, said).run(),
    ):
        raise BooksDiffer(["AAL"])
    with pytest.raises(ZeroDivisionError), watch(profile, receiver, said).run():
        raise ZeroDivisionError
    with pytest.raises(LockHeld), watch(profile, receiver, said).run():
        raise LockHeld("the lock")
    ends = [path for path in receiver.paths if path != "/ping/start"]
    assert ends == ["/ping/4", "/ping/1"]  # a second run beside a living one is no failure


def test_a_receiver_that_is_down_does_not_fail_the_run(
    profile: Profile, db: StateDB, receiver: Receiver
):
    alert(db)
    said: list[str] = []
    receiver.answer = 503
    with watch(profile, receiver, said).run() as tell:
        tell(report(PhaseReport("signals", "done", 0)))
    assert said == [
        "ping failed: HTTP 503",
        "1 messages could not be delivered and will be tried again",
        "ping failed: HTTP 503",
    ]
    assert len(db.pending_alerts()) == 1


# -------------------------------------------------------------------------------------- commands


def test_the_command_delivers_and_says_what_failed(
    db: StateDB, profile: Profile, receiver: Receiver, tmp_path: Path, monkeypatch, capsys
):
    params = tmp_path / "told.yaml"
    params.write_text("venue: simulated\n")
    words = ["notify", "--params", str(params), "--outputs", str(tmp_path)]
    monkeypatch.setenv("LIVEKIT_NOTIFY_URLS", f"json://127.0.0.1:{receiver.port}/{TOKEN}")
    alert(db)
    receiver.answer = 500
    assert cli.main(words) == 5
    receiver.answer = 200
    assert cli.main([*words, "--test"]) == 0
    shown = capsys.readouterr()
    assert "failed 1, on their way 1" in shown.out
    assert ": arrived" in shown.out
    assert TOKEN not in shown.out + shown.err
    monkeypatch.delenv("LIVEKIT_NOTIFY_URLS")
    assert cli.main([*words, "--test"]) == 2
