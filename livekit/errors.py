"""Every error the package raises on purpose, drawn by what the operator does now.

::

    LivekitError                 exit 1   read the message; nothing was half-written
    ├── RunIncomplete            exit 1   look at the archived run, then run the phase again
    ├── SecretExposed            exit 1   remove the value from what is archived; change the key
    ├── WorkersLost              exit 1   run the same command again; what is done is kept
    ├── RecordRefused            exit 1   read which rule of the books the record would break
    │   └── DuplicateIntent      exit 1   look the order up by its id; it was not written twice
    ├── VenueError               exit 1   the broker said no, said nothing, or could not be reached
    │   ├── OrderRefused         exit 1   read the broker's reason; the order does not exist
    │   ├── OutcomeUnknown       exit 1   do nothing by hand; the next run asks the broker and heals
    │   ├── VenueUnavailable     exit 1   wait and run again; nothing was changed by the request
    │   └── CredentialsRefused   exit 2   check the two key variables
    ├── UsageError               exit 2   correct the command, file or parameter and run again
    │   ├── BadInput             exit 2   repair or replace the named file
    │   ├── PathUnusable         exit 2   make the named file or folder one that can be written
    │   ├── UnknownParameter     exit 2   correct the parameter's name or type
    │   ├── ManifestMismatch     exit 2   make parameter file and manifest agree, or `livekit init`
    │   ├── KeysMissing          exit 2   set the named environment variables
    │   ├── HostRefused          exit 2   use the paper host; live trading is not possible here
    │   ├── NotASession          exit 2   name an exchange session
    │   ├── PlanRefused          exit 2   generate the plan again; nothing of it was sent
    │   │   └── DecisionRefused  exit 2   look at the plan as it stands; nothing was recorded
    │   ├── RecordUnusable       exit 2   restore what the reasons name; no figure was computed
    │   └── StateUnusable        exit 2   run `livekit init`, or restore the database file
    ├── KillSwitchOn             exit 3   find the cause, then re-arm with a reason
    ├── BooksDiffer              exit 4   settle the listed breaks; nothing was sent
    ├── DecisionsWithheld        exit 5   supply the missing input and run again
    ├── LockHeld                 exit 6   wait for the other run to end
    └── SharesUncovered          exit 7   act now: place the named stops by hand

Callers pass facts; the class builds the text and owns the exit code and the advice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = [
    "BadInput",
    "BooksDiffer",
    "CredentialsRefused",
    "DecisionRefused",
    "DecisionsWithheld",
    "DuplicateIntent",
    "HostRefused",
    "KeysMissing",
    "KillSwitchOn",
    "LivekitError",
    "LockHeld",
    "ManifestMismatch",
    "NotASession",
    "OrderRefused",
    "OutcomeUnknown",
    "PathUnusable",
    "PlanRefused",
    "RecordRefused",
    "RecordUnusable",
    "RunIncomplete",
    "SecretExposed",
    "SharesUncovered",
    "StateUnusable",
    "UnknownParameter",
    "UsageError",
    "VenueError",
    "VenueUnavailable",
    "WorkersLost",
]


class LivekitError(Exception):
    """Base of the tree. ``exit_code`` and ``advice`` belong to the class."""

    exit_code = 1
    advice = "Read the message; nothing was left half-written."

    def operator_line(self) -> str:
        """One line for the terminal: what happened, then what to do now."""
        return f"{' '.join(str(self).split())} — {self.advice}"


class RunIncomplete(LivekitError):
    """A phase ended without its run record, so it does not count as run."""

    advice = "Open the archived run, then run the same phase again."

    def __init__(self, phase: str, session: object, cause: str) -> None:
        super().__init__(f"phase {phase} of {session} did not complete: {cause}")


class RecordRefused(LivekitError):
    """The books do not take a record: it breaks a constraint or contradicts what is stored."""

    advice = "Read which rule it breaks; nothing of it was written."

    def __init__(self, what: object, why: str) -> None:
        super().__init__(f"{what}: record refused: {why}")


class DuplicateIntent(RecordRefused):
    """An order with this client order id is in the books already."""

    advice = "Look the order up by its id; it was not written twice."

    def __init__(self, client_order_id: str) -> None:
        super().__init__(f"order {client_order_id}", "an intent with this id exists already")


class SecretExposed(LivekitError):
    """A secret stands in what was about to be archived, so nothing was archived."""

    advice = "Keep the value out of the notebook's output, and change the key if others saw it."

    def __init__(self, where: Iterable[str]) -> None:
        super().__init__(f"a secret occurs in the {' and the '.join(where)}; nothing was archived")


class WorkersLost(LivekitError):
    """Processes or machines that shared a long computation ended too early."""

    advice = "Run the same command again: what was finished is kept and not done again."


class VenueError(LivekitError):
    """Something between us and the broker."""


class OrderRefused(VenueError):
    """The venue refused the request and nothing exists because of it."""

    advice = "Read the broker's reason; the order does not exist."

    def __init__(self, what: str, status: int, code: int | None, message: str) -> None:
        super().__init__(f"{what} refused by the venue: HTTP {status}, code {code}: {message}")
        self.status = status
        self.code = code
        self.message = message

    @property
    def is_duplicate_client_id(self) -> bool:
        """The client order id was used before: read the order of that id, it may be ours."""
        text = self.message.lower()
        return "client_order_id" in text and "unique" in text


class OutcomeUnknown(VenueError):
    """A request left and no usable answer came back: it may or may not have happened."""

    advice = "Place nothing by hand; the next run asks the broker what happened and heals it."

    def __init__(self, what: str, cause: str) -> None:
        super().__init__(f"outcome of {what} is unknown: {cause}")


class VenueUnavailable(VenueError):
    """A read failed, or a request never left; nothing changed at the venue."""

    advice = "Wait for the venue to answer, then run again."

    def __init__(self, what: str, cause: str) -> None:
        super().__init__(f"{what} failed: {cause}")


class CredentialsRefused(VenueError):
    """The venue does not know the keys."""

    exit_code = 2
    advice = "Check the key variables; paper keys belong to one paper account."

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: the venue refused the credentials")


class UsageError(LivekitError):
    """The command, a file or a parameter is not usable as given."""

    exit_code = 2
    advice = "Correct it and run again; nothing was written."


class BadInput(UsageError):
    """A file is absent or its content is not what it should be."""

    advice = "Repair or replace the file and run again; nothing was written."

    def __init__(self, path: Path | str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")


class PathUnusable(UsageError):
    """The operating system refuses a file or folder that must be read or written."""

    advice = "Make it a file or folder that you may write to, then run again."

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{path} cannot be used: {reason}")


class UnknownParameter(UsageError):
    """A parameter's name or type is not in the schema."""

    advice = "Correct the parameter's name or type; nothing was started."

    def __init__(self, where: str, problems: Iterable[str]) -> None:
        super().__init__(f"{where}: {'; '.join(problems)}")


class ManifestMismatch(UsageError, ValueError):
    """The configuration differs from the manifest it was registered with."""

    advice = "Make the parameter file and the manifest agree, or register anew with `livekit init`."

    def __init__(self, path: Path | str, mismatches: Sequence[str]) -> None:
        super().__init__(f"configuration differs from {path}: {'; '.join(mismatches)}")
        self.mismatches = tuple(mismatches)


class KeysMissing(UsageError):
    """No usable credentials for the venue."""

    advice = "Set the named variables in the environment or in a private .env file."

    def __init__(self, names: Sequence[str], why: str = "not set") -> None:
        super().__init__(f"API keys {why}: {', '.join(names)}")


class HostRefused(UsageError, ValueError):
    """A request would go to a host that is neither the paper host nor our loopback venue."""

    advice = "Use https://paper-api.alpaca.markets; live trading is not possible with this program."

    def __init__(self, url: str) -> None:
        super().__init__(
            f"host refused: {url!r} is not the Alpaca paper host nor the loopback venue"
        )


class NotASession(UsageError, ValueError):
    """A date is not an exchange session, or lies outside the calendar."""

    advice = "Name a session of the New York Stock Exchange as YYYY-MM-DD."

    def __init__(self, given: object, why: str = "not a session of the exchange") -> None:
        super().__init__(f"{given}: {why}")


class PlanRefused(UsageError):
    """The executor does not trust the plan it was given."""

    advice = "Generate the plan again with the signals phase; nothing of it was sent."

    def __init__(self, plan: object, why: str) -> None:
        super().__init__(f"plan {plan} refused: {why}")


class DecisionRefused(PlanRefused):
    """An approval or rejection that does not fit the plan, or comes too late."""

    advice = "Look at the plan as it stands now, then decide again; nothing was recorded."

    def __init__(self, item: str, why: str) -> None:
        UsageError.__init__(self, f"decision on {item} refused: {why}")


class StateUnusable(UsageError):
    """The state database is absent, damaged or of another version."""

    advice = "Run `livekit init` for a new profile, or restore the file; nothing was created."

    def __init__(self, path: Path | str, why: str) -> None:
        super().__init__(f"state database {path}: {why}")


class RecordUnusable(UsageError):
    """What was recorded cannot carry a comparison, so none is given."""

    advice = "Nothing was computed; restore what the reasons name, or register anew."

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(f"INVALID: {'; '.join(reasons)}")
        self.reasons = tuple(reasons)


class KillSwitchOn(LivekitError):
    """The kill switch is on, or its state cannot be read, which counts as on."""

    exit_code = 3
    advice = "Find the cause, settle the books, then re-arm with a reason. Cover is kept meanwhile."

    def __init__(self, reason: str) -> None:
        super().__init__(f"kill switch is on: {reason}")


class BooksDiffer(LivekitError):
    """Our books and the broker's disagree."""

    exit_code = 4
    advice = "Settle each with `livekit breaks resolve`, or at the broker; no new order was sent."

    def __init__(self, facts: Sequence[str]) -> None:
        super().__init__(f"books differ from the broker's: {'; '.join(facts)}")
        self.facts = tuple(facts)


class DecisionsWithheld(LivekitError):
    """The run is done, but a decision was withheld for lack of trustworthy input."""

    exit_code = 5
    advice = "Supply the missing input and run the phase again."

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(f"decisions withheld: {'; '.join(reasons)}")
        self.reasons = tuple(reasons)


class LockHeld(LivekitError):
    """Another run holds the lock or the database."""

    exit_code = 6
    advice = "Wait for the other run to end, then run again; nothing was sent."

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is held by another run")


class SharesUncovered(LivekitError):
    """Shares of ours have neither a live stop nor a live exit."""

    exit_code = 7
    advice = "Act now: place the named stops by hand at the broker."

    def __init__(self, facts: Sequence[str]) -> None:
        super().__init__(f"uncovered shares: {'; '.join(facts)}")
        self.facts = tuple(facts)
