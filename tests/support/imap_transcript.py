r"""Plays transcripts against the real session, services and stores, without network or real clock.

    # a comment
    A> a1 NOOP              connection A sends a line (made on its first line; TLS is on)
    A>> a1 APP\r\n          A sends raw octets, Python escapes, no line end
    A< a1 OK ...            A must receive this line next; `...` stands for anything in the line
    A<...                   A receives any lines up to the next expected one
    A= connect clear        open A without TLS
    A= closed               the server has closed A
    A= gone                 the network loses A
    A= slow | fast          A stops, or goes on, reading
    !! after 120 s          time passes
    !! deposit voice to alice
    !! …                    what else COMMANDS has

At the end nothing may be left unread.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from imap_server.errors import LinkLostError
from imap_server.registry import Registry
from imap_server.services import Services
from imap_server.session import Session
from imap_server.settings import ImapSettings
from tests.support.house import PASSWORD, House
from um.core.events import AccountChanged, MailboxChanged
from um.core.ids import IngestKey
from um.core.message import MessageKind
from um.core.ports import NoMetrics
from um.service.app_passwords import AppPasswords
from um.service.delivery import Incoming
from um.service.mailboxes import MailboxService

TURNS = 20_000


class FakeLink:
    """`imap_server.link.Link` in memory, on the stage's clock."""

    def __init__(self, stage: "Stage", *, secure: bool = True, peer: str = "192.0.2.1") -> None:
        self.peer = peer
        self.secure = secure
        self.closed = False
        self.lost = False
        self.slow = False
        self.output = bytearray()
        self.busy = True
        self.most_buffered = 0
        self.compressed = False
        self._stage = stage
        self._woken = False
        self._future: asyncio.Future[bool] | None = None
        self._kind = ""

    @property
    def can_start_tls(self) -> bool:
        return not self.secure

    def start_tls(self) -> None:
        self.secure = True

    def start_deflate(self) -> None:
        self.compressed = True

    def write(self, data: bytes) -> None:
        if not self.closed:
            self.output += data

    def write_all(self, pieces) -> None:
        self.write(b"".join(pieces))

    def throttle(self, buffered: int) -> None:
        self.most_buffered = max(self.most_buffered, buffered)

    async def drain(self) -> None:
        while self.slow and not self.lost:
            await self._sleep("drain", 600)
        if self.lost:
            raise LinkLostError

    async def wait(self, seconds: float) -> bool:
        if self.lost:
            raise LinkLostError
        if self._woken or seconds <= 0:
            woken, self._woken = self._woken, False
            return woken
        woken = await self._sleep("wait", seconds)
        if self.lost:
            raise LinkLostError
        return woken

    async def pause(self, seconds: float) -> None:
        await self._sleep("pause", seconds)

    def wake(self) -> None:
        if self._kind == "wait":
            self._finish(result=True)
        else:
            self._woken = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def lose(self) -> None:
        self.lost = True
        self._finish(result=False)

    def resume(self) -> None:
        self.slow = False
        self._finish(result=True)

    async def _sleep(self, kind: str, seconds: float) -> bool:
        self._kind = kind
        self._future = asyncio.get_running_loop().create_future()
        timer = self._stage.at(seconds, self._future)
        self.busy = False
        try:
            return await self._future
        finally:
            self.busy = True
            self._kind = ""
            self._stage.timers.discard(timer)

    def _finish(self, *, result: bool) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(result)
            self.busy = True


class Client:
    """One connection and the lines it received."""

    def __init__(self, link: FakeLink, session: Session) -> None:
        self.link = link
        self.session = session
        self.task = asyncio.get_running_loop().create_task(self._run())
        self.ended = False

    async def _run(self) -> None:
        try:
            await self.session.run()
        finally:
            self.ended = True

    def send(self, data: bytes) -> None:
        self.session.context.receive_data(data)

    def take_line(self) -> str | None:
        end = self.link.output.find(b"\r\n")
        if end < 0:
            return None
        line = bytes(self.link.output[:end])
        del self.link.output[: end + 2]
        return line.decode("utf-8", "backslashreplace")

    def take_all(self) -> bytes:
        data = bytes(self.link.output)
        self.link.output.clear()
        return data


class Stage:
    """The house, its IMAP services, and the clients that play."""

    def __init__(self, settings: ImapSettings | None = None) -> None:
        self.house = House()
        self.mailboxes = MailboxService(
            self.house.store, self.house.blobs, self.house.delivery, self.house.clock
        )
        self.services = Services(
            settings=settings or ImapSettings(),
            authenticator=self.house.authenticator,
            mailboxes=self.mailboxes,
            clock=self.house.clock,
            metrics=NoMetrics(),
            registry=Registry(),
        )
        registry = self.services.registry
        self.house.bus.subscribe(MailboxChanged, registry.on_mailbox_changed)
        self.house.bus.subscribe(AccountChanged, registry.on_account_changed)
        self.clients: dict[str, Client] = {}
        self.timers: set[tuple[float, int]] = set()
        self._futures: dict[tuple[float, int], asyncio.Future[bool]] = {}
        self._deposits = 0

    def at(self, seconds: float, future: asyncio.Future[bool]) -> tuple[float, int]:
        timer = (self.house.clock.monotonic() + seconds, id(future))
        self.timers.add(timer)
        self._futures[timer] = future
        return timer

    async def connect(self, name: str, *, secure: bool = True, peer: str = "192.0.2.1") -> Client:
        link = FakeLink(self, secure=secure, peer=peer)
        client = Client(link, Session(self.services, link))
        self.clients[name] = client
        await self.settle()
        return client

    async def settle(self) -> None:
        """Let every session do all that it can do now."""
        for _ in range(TURNS):
            await asyncio.sleep(0)
            if not any(each.link.busy and not each.ended for each in self.clients.values()):
                return
        raise AssertionError("a session never comes to rest")

    async def advance(self, seconds: float) -> None:
        """Let time pass; what is due happens at its own instant."""
        end = self.house.clock.monotonic() + seconds
        while due := sorted(timer for timer in self.timers if timer[0] <= end):
            timer = due[0]
            self.house.clock.advance(max(timer[0] - self.house.clock.monotonic(), 0))
            self.timers.discard(timer)
            future = self._futures.pop(timer)
            if not future.done():
                future.set_result(False)
                for client in self.clients.values():
                    if client.link._future is future:
                        client.link.busy = True
            await self.settle()
        self.house.clock.advance(end - self.house.clock.monotonic())

    async def deposit(self, kind: str, name: str, *, subject: str = "", data: bytes = b"") -> None:
        """Deliver a message as telephony and billing do."""
        self._deposits += 1
        overview = await self.house.accounts.show(name)
        await self.house.delivery.deliver(
            Incoming(
                account_id=overview.account.id,
                kind=MessageKind(kind),
                data=data or message(subject or f"A {kind} message", number=self._deposits),
                ingest_key=IngestKey(f"deposit-{self._deposits}"),
            )
        )

    async def close(self) -> None:
        for client in self.clients.values():
            client.link.lose()
        await asyncio.gather(*(client.task for client in self.clients.values()))


def message(subject: str, *, number: int = 1, body: str = "Hello.") -> bytes:
    return (
        f"Date: Wed, 04 Mar 2026 12:00:00 +0000\r\nFrom: Bob <bob@example.org>\r\n"
        f"To: alice@um.example.net\r\nSubject: {subject}\r\n"
        f"Message-ID: <{number}@example.org>\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\n\r\n{body}\r\n"
    ).encode()


async def _deposit(stage: Stage, kind: str, name: str, subject: str | None) -> None:
    await stage.deposit(kind, name, subject=subject or "")


async def _account(stage: Stage, name: str) -> None:
    await stage.house.add(name, None)


async def _login(stage: Stage, client: str, name: str) -> None:
    player = await stage.connect(client)
    player.send(f'x LOGIN {name} "{PASSWORD}"\r\n'.encode())
    await stage.settle()
    answer = player.take_all()
    assert b"\r\nx OK " in answer, answer


async def _app_login(stage: Stage, client: str, name: str) -> None:
    made = await _app_passwords(stage).add(name, f"of {client}")
    player = await stage.connect(client)
    player.send(f"x LOGIN {name} {made}\r\n".encode())
    await stage.settle()
    answer = player.take_all()
    assert b"\r\nx OK " in answer, answer


async def _revoke(stage: Stage, client: str, name: str) -> None:
    for each in await _app_passwords(stage).every(name):
        if each.label == f"of {client}":
            await _app_passwords(stage).remove(name, each.id)


def _app_passwords(stage: Stage) -> AppPasswords:
    return AppPasswords(stage.house.store, stage.house.clock, stage.house.settings)


async def _select(stage: Stage, client: str, name: str, mailbox: str) -> None:
    await _login(stage, client, name)
    stage.clients[client].send(f"y SELECT {mailbox}\r\n".encode())
    await stage.settle()
    answer = stage.clients[client].take_all()
    assert b"\r\ny OK " in answer, answer


async def _suspend(stage: Stage, name: str, reason: str | None) -> None:
    await stage.house.accounts.suspend(name, reason=reason or "")


async def _hold(stage: Stage, name: str, switch: str) -> None:
    await stage.house.accounts.set_legal_hold(name, on=switch == "on", reason="case 7")


async def _store(stage: Stage, word: str) -> None:
    stage.house.store.unavailable = word == "down"


async def _quota(stage: Stage, name: str, octets: str) -> None:
    from dataclasses import replace

    account = (await stage.house.accounts.show(name)).account
    new = replace(account, quota_octets=int(octets))
    await stage.house.store.run("quota", lambda tx: tx.accounts.save(new))


async def _erase(stage: Stage) -> None:
    stage.house.blobs.blobs.clear()


async def _send(stage: Stage, client: str, octets: str) -> None:
    stage.clients[client].send(b"x" * int(octets))


async def _count(stage: Stage, number: str) -> None:
    assert len(stage.house.blobs.blobs) == int(number)


COMMANDS: list[tuple[str, Callable[..., Awaitable[object]]]] = [
    (r"deposit (\w+) to (\w+)(?: about (.+))?", _deposit),
    (r"account (\w+)", _account),
    (r"login (\w) as (\w+)", _login),
    (r"login (\w) by an app password of (\w+)", _app_login),
    (r"revoke that of (\w) of (\w+)", _revoke),
    (r"select (\w) as (\w+) in (.+)", _select),
    (r"after (\d+) s", lambda stage, seconds: stage.advance(float(seconds))),
    (r"suspend (\w+)(?: because (.+))?", _suspend),
    (r"resume (\w+)", lambda stage, name: stage.house.accounts.resume(name)),
    (r"legal hold of (\w+) is (on|off)", _hold),
    (r"close (\w+)", lambda stage, name: stage.house.accounts.close(name)),
    (r"password of (\w+) is (.+)", lambda s, name, new: s.house.accounts.set_password(name, new)),
    (r"store (down|up)", _store),
    (r"quota of (\w+) is (\d+)", _quota),
    (r"blobs are lost", _erase),
    (r"blobs number (\d+)", _count),
    (r"client (\w) sends (\d+) octets", _send),
]


class TranscriptError(AssertionError):
    """The server said something else."""


class Player:
    """Plays one transcript."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._skipping: set[str] = set()

    async def line(self, line: str) -> None:
        if line.startswith("!!"):
            await self._act(line[2:].strip())
            return
        match = re.fullmatch(r"(\w)(>>|>|<\.\.\.|<|=)(?: (.*))?", line)
        if match is None:
            raise TranscriptError("not a transcript line")
        name, mark, text = match[1], match[2], match[3] or ""
        if mark == "=":
            await self._link(name, text)
            return
        if name not in self.stage.clients:
            await self.stage.connect(name)
            self.stage.clients[name].take_line()  # the greeting
        client = self.stage.clients[name]
        if mark in {">", ">>"}:
            raw = (
                text.encode() + b"\r\n"
                if mark == ">"
                else text.encode().decode("unicode_escape").encode("latin-1")
            )
            client.send(raw)
            await self.stage.settle()
        elif mark == "<...":
            self._skipping.add(name)
        else:
            self._expect(name, client, text)

    def _expect(self, name: str, client: Client, wanted: str) -> None:
        pattern = ".*".join(re.escape(piece) for piece in wanted.split("..."))
        while True:
            line = client.take_line()
            if line is None:
                raise TranscriptError(f"{name} received nothing more")
            if re.fullmatch(pattern, line):
                self._skipping.discard(name)
                return
            if name not in self._skipping:
                raise TranscriptError(f"{name} received: {line}")

    async def _act(self, text: str) -> None:
        for pattern, act in COMMANDS:
            match = re.fullmatch(pattern, text)
            if match is not None:
                await act(self.stage, *match.groups())
                await self.stage.settle()
                return
        raise TranscriptError("no such act")

    async def _link(self, name: str, text: str) -> None:
        if text.startswith("connect"):
            client = await self.stage.connect(name, secure="clear" not in text)
            return
        client = self.stage.clients[name]
        if text == "closed":
            assert client.link.closed, f"{name} is open still"
        elif text == "open":
            assert not client.link.closed, f"{name} is closed"
        elif text == "gone":
            client.link.lose()
        elif text == "slow":
            client.link.slow = True
        elif text == "fast":
            client.link.resume()
        else:
            raise TranscriptError("no such thing")
        await self.stage.settle()

    def check_read(self) -> None:
        for name, client in self.stage.clients.items():
            rest = client.take_all()
            if rest and name not in self._skipping:
                raise TranscriptError(f"{name} has unread: {rest!r}")


async def _play(script: str, settings: ImapSettings | None) -> None:
    stage = Stage(settings)
    player = Player(stage)
    await stage.house.add("alice", None)
    for number, written in enumerate(script.splitlines(), 1):
        line = written.strip()
        if not line or line.startswith("#"):
            continue
        try:
            await player.line(line)
        except AssertionError as error:
            raise TranscriptError(f"line {number}: {line}\n  {error}") from error
    player.check_read()
    await stage.close()


def play(script: str, *, settings: ImapSettings | None = None) -> None:
    """Play a transcript with one account `alice`; raises TranscriptError where it differs."""
    asyncio.run(_play(script, settings))


def play_file(path: Path) -> None:
    """Play the transcript in a file."""
    play(path.read_text())
