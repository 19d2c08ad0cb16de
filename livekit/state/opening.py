"""Making and opening databases.

Nothing here repairs: a file that is absent, empty, damaged, foreign or of another version raises
`StateUnusable` and is left as it was. A new file is built beside its final name and linked there
complete, so a crash leaves either the whole database or none.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, inspect
from sqlalchemy.pool import StaticPool

from livekit.errors import StateUnusable
from livekit.state.switch import arm
from livekit.state.tables import REVISION, metadata
from livekit.state.translation import translated

__all__ = [
    "MEMORY",
    "building_path",
    "create_database",
    "open_database",
    "publish_database",
]

MEMORY = ":memory:"
BUSY_TIMEOUT_S = 5.0
MAGIC = b"SQLite format 3\x00"
MIGRATIONS = Path(__file__).parent / "migrations"


def create_database(path_or_url: Path | str) -> None:
    """Make a new database; raises `StateUnusable` when there is one already."""
    if str(path_or_url) == MEMORY:
        return
    file = _file_of(path_or_url)
    if file is None:
        _create_on_server(str(path_or_url))
        return
    with translated(str(file)), _os_errors(file):
        _create_file(file)


def publish_database(building: Path, file: Path) -> None:
    """Give a complete, closed database its own name; raises `StateUnusable` if that is taken."""
    with _os_errors(file):
        _link_new(building, file)
        building.unlink()


def building_path(file: Path) -> Path:
    """The name under which a database is written until it is complete; leftovers are removed."""
    for left in file.parent.glob(f".*{file.name}.*.new*"):
        left.unlink()
    return file.with_name(f".{file.name}.{os.getpid()}.new")


def open_database(path_or_url: Path | str) -> Engine:
    """Open what `create_database` made; raises `StateUnusable` for anything else."""
    if str(path_or_url) == MEMORY:
        return _memory_engine()
    file = _file_of(path_or_url)
    if file is None:
        return _open_on_server(str(path_or_url))
    with _os_errors(file):
        return _open_file(file)


def _file_of(path_or_url: Path | str) -> Path | None:
    given = str(path_or_url)
    if "://" not in given:
        return Path(given)
    return Path(given.removeprefix("sqlite:///")) if given.startswith("sqlite:///") else None


@contextmanager
def _os_errors(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StateUnusable(file, error.strerror or str(error)) from error


# -------------------------------------------------------------------------------------- creating


def _create_file(file: Path) -> None:
    if os.path.lexists(file):
        raise StateUnusable(file, "exists already")
    _make_private_directory(file.parent)
    building = file.with_name(f".{file.name}.{os.getpid()}.new")
    try:
        _build_file(building)
        _link_new(building, file)
    finally:
        for left in (building, *(building.with_name(building.name + end) for end in _SIDE_FILES)):
            left.unlink(missing_ok=True)


_SIDE_FILES = ("-wal", "-shm", "-journal")


def _build_file(building: Path) -> None:
    os.close(os.open(building, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    building.chmod(0o600)
    engine = _sqlite_engine(_connect(building))
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            _build_schema(connection)
    finally:
        engine.dispose()


def _link_new(building: Path, file: Path) -> None:
    try:
        os.link(building, file)
    except FileExistsError as error:
        raise StateUnusable(file, "exists already") from error
    directory = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _make_private_directory(directory: Path) -> None:
    """Make missing directories for the owner only, and close an existing one to others.

    A directory that is shared on purpose (sticky, or somebody else's) is left alone, and so are
    the home and the working directory, whose mode is not this program's business.
    """
    if not directory.exists():
        if not directory.parent.exists():
            _make_private_directory(directory.parent)
        directory.mkdir(mode=0o700)
        directory.chmod(0o700)
        return
    status = directory.stat()
    own = status.st_uid == os.geteuid() and not status.st_mode & stat.S_ISVTX
    if own and directory.resolve() not in (Path.cwd(), Path.home()):
        directory.chmod(stat.S_IMODE(status.st_mode) & ~0o077)


def _build_schema(connection: Connection) -> None:
    """Apply the migrations and arm the kill switch, within the caller's transaction."""
    from alembic import command  # noqa: PLC0415 - only a new database pays for the import
    from alembic.config import Config  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, "head")
    arm(connection)


def _server_engine(url: str) -> Engine:
    """Serializable, as SQLite is by nature."""
    with translated("given by URL"):
        return create_engine(url, isolation_level="SERIALIZABLE")


def _create_on_server(url: str) -> None:
    engine = _server_engine(url)
    name = engine.url.render_as_string()  # hides the password
    try:
        with translated(name), engine.begin() as connection:
            if set(inspect(connection).get_table_names()) & {*metadata.tables, "alembic_version"}:
                raise StateUnusable(name, "exists already")
            _build_schema(connection)
    finally:
        engine.dispose()


# ---------------------------------------------------------------------------------------- memory


def _memory_engine() -> Engine:
    raw = _connect(MEMORY)
    raw.deserialize(_memory_template())
    return _sqlite_engine(raw)


_VERSION_TABLE = """CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
)"""  # as Alembic writes it


@cache
def _memory_template() -> bytes:
    """The empty schema as bytes: built once per process and copied for each database in memory."""
    raw = _connect(MEMORY)
    with _sqlite_engine(raw).begin() as connection:
        metadata.create_all(connection)
        connection.exec_driver_sql(_VERSION_TABLE)
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (REVISION,))
        arm(connection)
    template = raw.serialize()
    raw.close()
    return template


# --------------------------------------------------------------------------------------- opening


def _open_on_server(url: str) -> Engine:
    engine = _server_engine(url)
    name = engine.url.render_as_string()
    with translated(name), ExitStack() as undo:
        undo.callback(engine.dispose)
        _require_current(engine, name)
        undo.pop_all()
    return engine


def _open_file(file: Path) -> Engine:
    _require_database_file(file)
    _require_writable(file)
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        file.chmod(mode & ~0o077)
    with translated(str(file)):
        raw = _connect(file)
        with _closed_on_error(raw):
            _require_sound(raw, file)
            engine = _sqlite_engine(raw)
            _require_current(engine, str(file))
    return engine


def _require_database_file(file: Path) -> None:
    if not file.exists():
        raise StateUnusable(file, "does not exist")
    if not file.is_file():
        raise StateUnusable(file, "is not a file")
    with file.open("rb") as stream:
        head = stream.read(len(MAGIC))
    if not head:
        raise StateUnusable(file, "is empty")
    if head != MAGIC:
        raise StateUnusable(file, "is not an SQLite database")


def _require_writable(file: Path) -> None:
    """Books marked read-only are not written, although a privileged user could."""
    for path, problem in ((file, "is read-only"), (file.parent, "lies in a read-only folder")):
        marked = not path.stat().st_mode & stat.S_IWUSR
        if marked or not os.access(path, os.W_OK):
            raise StateUnusable(file, problem)


def _require_sound(raw: sqlite3.Connection, file: Path) -> None:
    with closing(raw.cursor()) as cursor:  # an open cursor would keep the connection open
        finding = cursor.execute("PRAGMA quick_check(1)").fetchone()[0]
    if finding != "ok":
        raise StateUnusable(file, f"is damaged ({finding})")


_VERSION_QUERY = "SELECT version_num FROM alembic_version"


def _require_current(engine: Engine, name: str) -> None:
    with engine.connect() as connection:
        tables = set(inspect(connection).get_table_names())
        versioned = "alembic_version" in tables
        found = connection.exec_driver_sql(_VERSION_QUERY).scalar() if versioned else None
    if not versioned:
        raise StateUnusable(name, "is not a state database of this program")
    if found != REVISION:
        raise StateUnusable(name, f"has schema {found}, this program works on {REVISION}")
    missing = sorted(set(metadata.tables) - tables)
    if missing:
        raise StateUnusable(name, f"lacks the tables {', '.join(missing)}")


def _connect(file: Path | str) -> sqlite3.Connection:
    """A connection that never creates a file and begins no transaction by itself."""
    connection = sqlite3.connect(
        MEMORY if file == MEMORY else f"file:{quote(str(file))}?mode=rw",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,  # transactions are begun by us
        check_same_thread=False,  # the gateway holds a lock
        cached_statements=256,
    )
    with _closed_on_error(connection):
        for pragma in ("foreign_keys = ON", "synchronous = FULL", "trusted_schema = OFF"):
            connection.execute(f"PRAGMA {pragma}")
    return connection


@contextmanager
def _closed_on_error(raw: sqlite3.Connection) -> Iterator[None]:
    """A connection left open would leave its side files beside the database."""
    with ExitStack() as undo:
        undo.callback(raw.close)
        yield
        undo.pop_all()


def _sqlite_engine(raw: sqlite3.Connection) -> Engine:
    return create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)
