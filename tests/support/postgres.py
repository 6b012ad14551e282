"""A real PostgreSQL for the tests: Debian's, on a unix socket in a temporary folder, no TCP.

Started as an unprivileged user (PostgreSQL refuses root). It is not synced unless `durable` is
asked for, because most tests are about what it stores and not about power cuts.
"""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

_OWNER = "postgres"
_ROLE = "um"
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class Postgres:
    """A running server; the product's role is an ordinary one that owns its databases."""

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self.folder = folder
        self._settings = () if durable else _FAST
        self._names = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None

    def initialise(self) -> None:
        """Make the cluster (once)."""
        if os.geteuid() == 0:
            owner = pwd.getpwnam(_OWNER)
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        command = ["initdb", "-D", self._data, "-U", _OWNER, "-A", "trust", "-E", "UTF8"]
        self._run([*command, "--no-locale", "--no-sync"])

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = ["listen_addresses=", f"unix_socket_directories={self.folder}", *self._settings]
        settings += ["max_connections=60", "shared_buffers=32MB"]
        options = [f"-c{setting}" for setting in settings]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_as_owner(), _program("postgres"), "-D", self._data, *options],
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        self._wait_until_ready(30)
        with psycopg.connect(self._dsn("postgres", _OWNER), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'um'").fetchone():
                connection.execute(f"CREATE ROLE {_ROLE} LOGIN")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT at once but cleanly, SIGQUIT like a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def create(self, template: str | None = None) -> str:
        """A new database (a copy of `template`), as the URL that the store takes."""
        name = f"um{next(self._names)}"
        with psycopg.connect(self._dsn("postgres", _OWNER), autocommit=True) as connection:
            source = f" TEMPLATE {template}" if template else ""
            connection.execute(f"CREATE DATABASE {name} OWNER {_ROLE}{source}")
        return f"postgresql+psycopg://{_ROLE}@/{name}?host={self.folder}"

    def administer(self, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        """Run a statement as the server's administrator (to cut connections, for instance)."""
        with psycopg.connect(self._dsn("postgres", _OWNER), autocommit=True) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    @property
    def pid(self) -> int:
        """Of the running server; its sessions are processes below it."""
        assert self._process is not None
        return self._process.pid

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _dsn(self, database: str, user: str) -> str:
        return f"host={self.folder} dbname={database} user={user}"

    def _run(self, command: list[str]) -> None:
        program, *arguments = command
        subprocess.run(
            [*_as_owner(), _program(program), *arguments],
            check=True,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
        )

    def _wait_until_ready(self, seconds: float) -> None:
        ready = [_program("pg_isready"), "-q", "-h", str(self.folder), "-t", "1"]
        for _ in range(int(seconds * 20)):
            assert self._process is not None
            if subprocess.run(ready, check=False).returncode == 0:
                return
            try:
                self._process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
            break
        raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()}")


@contextmanager
def postgres(*, durable: bool = False) -> Iterator[Postgres]:
    """A server for the length of the block, in a folder that goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="um-pg-"))
    server = Postgres(folder, durable=durable)
    try:
        server.initialise()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _program(name: str) -> str:
    """The newest installed version's program. A missing PostgreSQL fails the test, never skips."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if not found:
        raise RuntimeError(f"{name} is not installed: apt-get install postgresql")
    return str(found[-1])


def _as_owner() -> list[str]:
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={_OWNER}", f"--regid={_OWNER}", "--init-groups"]
