"""The servers that are measured, all of them running: ours, Dovecot and pymap, and how to reach each."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.imap_wire import Wire
from bench.peers.dovecot import Dovecot
from bench.peers.pymap import VERSION, Pymap
from tests.support.server import Server


@dataclass(frozen=True, slots=True)
class Peer:
    """One server."""

    title: str
    short: str
    port: int
    tls_port: int
    """0: STARTTLS on `port`."""
    password: bytes
    pid: int

    def connect(self, *, tls: bool = False, receive_octets: int | None = None) -> Wire:
        """A connection, not logged in."""
        if tls and self.tls_port:
            return Wire(self.tls_port, tls=True, receive_octets=receive_octets)
        return Wire(self.port, starttls=tls, receive_octets=receive_octets)

    def login(self, *, tls: bool = False, receive_octets: int | None = None) -> Wire:
        """A connection that is logged in."""
        wire = self.connect(tls=tls, receive_octets=receive_octets)
        wire.ask(b"LOGIN bench " + self.password)
        return wire

    def select(self, *, tls: bool = False, receive_octets: int | None = None) -> Wire:
        """A connection that has selected INBOX."""
        wire = self.login(tls=tls, receive_octets=receive_octets)
        wire.ask(b"SELECT INBOX")
        return wire


@contextmanager
def running(folder: Path, *, pymap: bool = True, fsync: str = "always") -> Iterator[list[Peer]]:
    """All of them, ours first, each with an empty INBOX."""
    folder.chmod(0o755)
    limits = {"max_connections_per_account": 2000, "max_connections_per_address": 2000}
    overrides = {
        "imap": {"allow_plaintext_login": True, **limits},
        "policy": {"quota_octets": 2**40},
    }
    with ExitStack() as stack:
        server = stack.enter_context(Server(folder / "um", overrides=overrides))
        server.add_account("bench", password="bench bench bench")
        files = (server.certificate, server.data_dir / "self-signed.key")
        dovecot = stack.enter_context(
            Dovecot(folder / "dovecot", fsync=fsync, certificate=files[0], key=files[1])
        )
        peers = [
            Peer(
                "um",
                "um",
                server.address("imap").port,
                server.address("imaps").port,
                b'"bench bench bench"',
                server.pid,
            ),
            Peer(
                f"Dovecot {dovecot.version()} mdbox, mail_fsync={dovecot.fsync}",
                "Dovecot",
                dovecot.imap,
                dovecot.imaps,
                b"bench",
                dovecot.process.pid,
            ),
        ]
        if pymap:
            theirs = stack.enter_context(
                Pymap(folder / "pymap", certificate=files[0], key=files[1])
            )
            title = f"pymap {VERSION}, in memory"
            peers.append(Peer(title, "pymap", theirs.imap, 0, b"bench", theirs.process.pid))
            wire = peers[-1].select()
            wire.ask(b"STORE 1:* +FLAGS (\\Deleted)")
            wire.ask(b"EXPUNGE")
            wire.close()
        yield peers
