"""A real `um serve` in a folder of its own, on ephemeral loopback ports, for tests, demo and bench.

Nothing sleeps: the server writes a notice into an inherited pipe when everything listens, and says
in it on which ports. Logs go to `serve.log` in the folder, all starts one after another.
"""

import atexit
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.support.priority import first

PROJECT = Path(__file__).resolve().parents[2]
START_SECONDS = 120.0
STOP_SECONDS = 60.0
COMMAND_SECONDS = 120.0
LOOPBACK = "127.0.0.1"
DEFAULTS: dict[str, dict[str, Any]] = {
    "server": {"domain": "um.example.net"},
    "imap": {"listen": [f"{LOOPBACK}:0"], "listen_tls": [f"{LOOPBACK}:0"]},
    "smtp": {"listen_lmtp": [f"{LOOPBACK}:0"], "listen_smtp": [f"{LOOPBACK}:0"]},
    "telephony": {"listen": [f"udp:{LOOPBACK}:0"]},
    "web": {"listen": [f"{LOOPBACK}:0"], "listen_tls": [f"{LOOPBACK}:0"]},
}
"""What differs from `um.example.toml` so that servers run beside each other."""


class ServerError(RuntimeError):
    """The server did not do what was asked; the message ends with its last log lines."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service listens."""

    host: str
    port: int


class Server:
    """One `um serve` and the command line beside it.

    Use it as a context manager: it starts, and on the way out it stops by SIGTERM and must exit
    with 0 (unless the block failed: then it is killed and the log's place is printed).

    Args:
        folder: gets um.toml, data/ and serve.log; kept.
        database: a PostgreSQL URL; SQLite in data/ without it.
        overrides: tables and keys of the configuration that differ from DEFAULTS.
        environment: variables for `serve`, such as UM_KILL_AT.
        cores: tables of [[telephony.core]].
        telephony: more such tables, each with its name: `registration`, `credentials`.
        goes_first: before other processes, where a modem is at work (`tests.support.priority`).
    """

    def __init__(
        self,
        folder: Path,
        *,
        database: str | None = None,
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
        environment: Mapping[str, str] | None = None,
        cores: Sequence[Mapping[str, Any]] = (),
        telephony: Sequence[tuple[str, Mapping[str, Any]]] = (),
        goes_first: bool = False,
    ) -> None:
        self.folder = folder
        self.config_file = folder / "um.toml"
        self.data_dir = folder / "data"
        self.log_file = folder / "serve.log"
        self._environment = dict(environment or {})
        self._before = first() if goes_first else ()
        self._process: subprocess.Popen[bytes] | None = None
        self._addresses: dict[str, list[str]] = {}
        atexit.register(self.kill9)  # a test that fails half-way leaves nothing running
        tables = {name: dict(keys) for name, keys in DEFAULTS.items()}
        if database is not None:
            tables["storage"] = {"database": database}
        for name, keys in (overrides or {}).items():
            tables.setdefault(name, {}).update(keys)
        folder.mkdir(parents=True, exist_ok=True)
        text = as_toml(tables)
        for core in cores:
            text += as_toml({"[telephony.core]": core})
        for name, table in telephony:
            text += as_toml({f"[telephony.{name}]": table})
        self.config_file.write_text(text)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.stop()
            return
        print(f"log of the server: {self.log_file}", file=sys.stderr)
        self.kill9()

    # -- the process ---------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """Of the running server."""
        return self._running().pid

    @property
    def returncode(self) -> int | None:
        """How it ended; None while it runs."""
        return self._running().poll()

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        """Start `um serve` and wait until it says that it is ready. Raises ServerError."""
        ours, theirs = os.pipe()
        try:
            with self.log_file.open("ab") as log:
                self._process = subprocess.Popen(
                    [
                        *self._before,
                        sys.executable,
                        *("-m", "um", "serve", "--config", str(self.config_file)),
                    ],
                    cwd=PROJECT,
                    env=self._variables(environment) | {"UM_READY_FD": str(theirs)},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(theirs,),
                )
        finally:
            os.close(theirs)
        try:
            self._addresses = self._read_notice(ours)
        finally:
            os.close(ours)

    def stop(self, *, seconds: float = STOP_SECONDS) -> None:
        """SIGTERM; raises ServerError unless it exits with 0 in time."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise ServerError(
                f"um serve did not stop within {seconds:g} s\n{self.tail()}"
            ) from None
        if status != 0:
            raise ServerError(f"um serve ended with {status}\n{self.tail()}")

    def kill9(self) -> None:
        """As a power cut would; harmless when it is gone already."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def wait_killed(self, *, seconds: float = STOP_SECONDS) -> None:
        """Wait until a fail point has killed it. Raises ServerError if it ends otherwise."""
        try:
            status = self._running().wait(seconds)
        except subprocess.TimeoutExpired:
            raise ServerError(f"um serve lives after {seconds:g} s\n{self.tail()}") from None
        if status != -signal.SIGKILL:
            raise ServerError(f"um serve ended with {status}, not by SIGKILL\n{self.tail()}")

    def restart(self, environment: Mapping[str, str] | None = None) -> None:
        """Start again after its end; `environment` replaces that of the first start."""
        self.kill9()
        if environment is not None:
            self._environment = dict(environment)
        self.start()

    # -- what it says --------------------------------------------------------------------------

    def address(self, service: str) -> Address:
        """The first address of `imap`, `imaps`, `lmtp`, `smtp`, `http`, `https` or `sip`.

        `sip` is UDP; `sip-tcp` and `sip-tls` are there when `telephony.listen` has them.
        """
        first = self._addresses[service][0]
        for transport in ("udp:", "tcp:", "tls:"):
            first = first.removeprefix(transport)
        host, _, port = first.rpartition(":")
        return Address(host.strip("[]"), int(port))

    @property
    def certificate(self) -> Path:
        """The self-signed certificate, for clients to trust."""
        return self.data_dir / "self-signed.pem"

    def log_text(self) -> str:
        """Everything it logged so far."""
        return self.log_file.read_text("utf-8", "replace") if self.log_file.exists() else ""

    def tail(self, lines: int = 30) -> str:
        """The last lines of its log."""
        return "\n".join(self.log_text().splitlines()[-lines:])

    # -- the command line ----------------------------------------------------------------------

    def um(
        self,
        *arguments: str,
        stdin: str = "",
        check: bool = True,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run one `um` command against the same configuration. Raises ServerError if it fails."""
        done = subprocess.run(
            [sys.executable, "-m", "um", *arguments, "--config", str(self.config_file)],
            cwd=PROJECT,
            env=os.environ | (environment or {}),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if check and done.returncode:
            raise ServerError(f"um {' '.join(arguments)}: {done.returncode}\n{done.stderr}")
        return done

    def um_json(self, *arguments: str) -> Any:
        """What a command with `--json` says."""
        return json.loads(self.um(*arguments, "--json").stdout)

    def add_account(
        self, name: str, *, password: str, numbers: Sequence[str] = (), extra: Sequence[str] = ()
    ) -> None:
        """`um account add` with a password."""
        options = [part for number in numbers for part in ("--number", number)]
        command = ["account", "add", name, *options, *extra, "--password-stdin"]
        self.um(*command, stdin=f"{password}\n")

    # -- inside --------------------------------------------------------------------------------

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ServerError("the server was not started")
        return self._process

    def _variables(self, environment: Mapping[str, str] | None) -> dict[str, str]:
        return os.environ | self._environment | dict(environment or {})

    def _read_notice(self, pipe: int) -> dict[str, list[str]]:
        """One line of JSON, or the end of the pipe if the server died."""
        notice = b""
        while not notice.endswith(b"\n"):
            readable, _, _ = select.select([pipe], [], [], START_SECONDS)
            piece = os.read(pipe, 65_536) if readable else b""
            if not piece:
                why = "died" if readable else f"is not ready after {START_SECONDS:g} s"
                with suppress(OSError):
                    self.kill9()
                raise ServerError(f"um serve {why}\n{self.tail()}")
            notice += piece
        addresses: dict[str, list[str]] = json.loads(notice)["addresses"]
        return addresses


def as_toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """A TOML document of tables with plain values and lists."""
    lines: list[str] = []
    for name, keys in tables.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
        lines.append("")
    return "\n".join(lines)
