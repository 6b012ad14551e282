"""A mail program that believes what it is told, and notices when that cannot be true.

It counts every response against the protocol: numbers that were never announced, an EXPUNGE while
the client counts by number, a UID that changes, a tagged answer that is not OK.
"""

import asyncio
import re
import time
from collections import deque
from dataclasses import dataclass, field

FETCH = re.compile(rb"\* (\d+) FETCH \((.*)\)", re.DOTALL)
UID = re.compile(rb"(?:^| )UID (\d+)")
FLAGS = re.compile(rb"(?:^| )FLAGS \(([^)]*)\)")
MODSEQ = re.compile(rb"(?:^| )MODSEQ \((\d+)\)")
NUMBERED = re.compile(rb"\* (\d+) (EXISTS|EXPUNGE|RECENT)")
VANISHED = re.compile(rb"\* VANISHED (\(EARLIER\) )?([0-9,:]+)")
CODE = re.compile(rb"\[(UIDVALIDITY|HIGHESTMODSEQ) (\d+)\]")
LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")
COUNTS_BY_NUMBER = ("FETCH", "STORE", "SEARCH", "SORT")
WAIT_SECONDS = 60.0


class ProtocolError(Exception):
    """The server said what it may not say."""


@dataclass
class Answer:
    """One command's end and what came before it."""

    tagged: bytes
    untagged: list[bytes] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return self.tagged.split(b" ", 2)[1] == b"OK"


@dataclass
class Belief:
    """What the client thinks is in the mailbox."""

    name: str = ""
    uidvalidity: int = 0
    modseq: int = 0
    synchronized: int = 0
    """The mod-sequence up to which everything was told, expunges too."""
    uids: list[int | None] = field(default_factory=list)
    flags: dict[int, frozenset[bytes]] = field(default_factory=dict)

    def unknown(self) -> list[int]:
        """Numbers whose UID or flags were not told yet."""
        return [n for n, uid in enumerate(self.uids, 1) if uid is None or uid not in self.flags]

    def take(self, line: bytes, *, holds: bool) -> None:
        """Believe one untagged response. Raises ProtocolError if it cannot be."""
        if match := FETCH.match(line):
            self._fetched(int(match[1]), match[2])
        elif match := NUMBERED.match(line):
            number = int(match[1])
            if match[2] == b"EXISTS":
                self._exists(number)
            elif match[2] == b"EXPUNGE":
                self._expunged(number, holds=holds)
        elif match := VANISHED.match(line):
            self._vanished(members(match[2]), earlier=bool(match[1]), holds=holds)
        for name, value in CODE.findall(line):
            if name == b"UIDVALIDITY":
                self.uidvalidity = int(value)
            else:
                self.modseq = max(self.modseq, int(value))

    def _exists(self, count: int) -> None:
        if count < len(self.uids):
            raise ProtocolError(f"EXISTS {count} takes messages away from {len(self.uids)}")
        self.uids += [None] * (count - len(self.uids))

    def _expunged(self, number: int, *, holds: bool) -> None:
        if holds:
            raise ProtocolError("EXPUNGE while the client counts by number")
        if not 1 <= number <= len(self.uids):
            raise ProtocolError(f"EXPUNGE of {number} of {len(self.uids)}")
        uid = self.uids.pop(number - 1)
        if uid is not None:
            self.flags.pop(uid, None)

    def _vanished(self, gone: set[int], *, earlier: bool, holds: bool) -> None:
        if holds and not earlier:
            raise ProtocolError("VANISHED while the client counts by number")
        if not earlier:
            for uid in sorted(gone - set(self.uids)):
                self._forget_unknown(uid)
        self.uids = [uid for uid in self.uids if uid not in gone]
        for uid in gone:
            self.flags.pop(uid, None)

    def _forget_unknown(self, uid: int) -> None:
        """One that only EXISTS had told of is gone: it stood between its neighbours by UID."""
        place = 0
        for at, known in enumerate(self.uids):
            if known is not None and known < uid:
                place = at + 1
        if place >= len(self.uids) or self.uids[place] is not None:
            raise ProtocolError(f"VANISHED of {uid}, which was never there")
        del self.uids[place]

    def _fetched(self, number: int, items: bytes) -> None:
        if not 1 <= number <= len(self.uids):
            raise ProtocolError(f"FETCH of {number}, there are {len(self.uids)}")
        if uid := UID.search(items):
            known = self.uids[number - 1]
            if known not in (None, int(uid[1])):
                raise ProtocolError(f"message {number} was UID {known} and is {int(uid[1])}")
            self.uids[number - 1] = int(uid[1])
        known = self.uids[number - 1]
        if (flags := FLAGS.search(items)) and known is not None:
            self.flags[known] = frozenset(flags[1].split()) - {b"\\Recent"}
        if modseq := MODSEQ.search(items):
            self.modseq = max(self.modseq, int(modseq[1]))


def members(numbers: bytes) -> set[int]:
    """A sequence set without `*`, expanded."""
    found: set[int] = set()
    for part in numbers.split(b","):
        low, _, high = part.partition(b":")
        found.update(range(int(low), int(high or low) + 1))
    return found


class Client:
    """One connection."""

    def __init__(self, port: int, times: dict[str, list[float]]) -> None:
        self.belief = Belief()
        self.qresync = False
        self._port, self._times = port, times
        self._number = 0
        self.heard: deque[bytes] = deque(maxlen=80)
        """What was said last, both ways, for who looks into an error."""

    async def connect(self, name: str, password: str, *, qresync: bool) -> None:
        """Log in, and turn QRESYNC on if asked to."""
        self._reader, self._writer = await asyncio.open_connection(
            "127.0.0.1", self._port, limit=1 << 24
        )
        await self._response()
        await self.ask(f'LOGIN {name} "{password}"')
        self.qresync = qresync
        if qresync:
            await self.ask("ENABLE QRESYNC")

    async def select(self, mailbox: str, known: Belief | None = None) -> None:
        """Select anew; with `known` learn only what was missed (RFC 7162 §3.2.5)."""
        self.belief = Belief(mailbox)
        command = f"SELECT {mailbox}"
        if known is None or not known.uidvalidity or None in known.uids:
            await self.ask(command)
        else:
            before = known.uidvalidity
            answer = await self.ask(f"{command} (QRESYNC ({before} {known.synchronized}))")
            if self.belief.uidvalidity == before:
                self._resume(known, answer)
        await self.learn()

    def _resume(self, known: Belief, answer: Answer) -> None:
        """What was known before stays, but for what the answer says."""
        gone: set[int] = set()
        for line in answer.untagged:
            if match := VANISHED.match(line):
                gone |= members(match[2])
        named = {uid for uid in self.belief.uids if uid is not None}
        old = iter(sorted(uid for uid in known.flags if uid not in gone and uid not in named))
        self.belief.uids = [uid or next(old, None) for uid in self.belief.uids]
        if next(old, None) is not None:
            raise ProtocolError("QRESYNC kept silent about messages that are gone")
        for uid in self.belief.uids:
            if uid is not None and uid not in self.belief.flags and uid in known.flags:
                self.belief.flags[uid] = known.flags[uid]

    async def learn(self) -> None:
        """Ask for what EXISTS alone did not tell."""
        while unknown := self.belief.unknown():
            before = unknown[0], len(unknown)
            await self.ask(f"FETCH {unknown[0]}:* (UID FLAGS)")
            if self.belief.unknown()[:1] == [before[0]]:
                await self.ask("NOOP")  # it is gone and could not be told of meanwhile

    async def ask(self, command: str, literal: bytes | None = None) -> Answer:
        """Send a command, believe what comes, and return how it ended."""
        self._number += 1
        tag = b"m%d" % self._number
        text = command.encode()
        if literal is not None:
            text += b" {%d+}\r\n" % len(literal) + literal
        self.heard.append(b"> " + tag + b" " + text[:200])
        start = time.perf_counter()
        self._writer.write(tag + b" " + text + b"\r\n")
        await self._writer.drain()
        answer = await self._until(tag, holds=command.startswith(COUNTS_BY_NUMBER))
        word = command.split(" ", 1)[0]
        if word == "UID":
            word = command.split(" ", 2)[1]
        self._times.setdefault(word, []).append(time.perf_counter() - start)
        if word in {"NOOP", "SELECT"}:
            self.belief.synchronized = self.belief.modseq
        if not answer.ok and b"[EXPUNGEISSUED]" not in answer.tagged:
            raise ProtocolError(f"{command[:80]}: {answer.tagged.decode('ascii', 'replace')}")
        return answer

    async def idle(self, seconds: float) -> None:
        """IDLE for a while, believing what comes."""
        self._number += 1
        tag = b"m%d" % self._number
        self.heard.append(b"> " + tag + b" IDLE")
        self._writer.write(tag + b" IDLE\r\n")
        ends = time.monotonic() + seconds
        pending = asyncio.ensure_future(self._response())
        while (left := ends - time.monotonic()) > 0:
            done, _ = await asyncio.wait({pending}, timeout=left)
            if done:
                self._believe(pending.result(), holds=False)
                pending = asyncio.ensure_future(self._response())
        self._writer.write(b"DONE\r\n")
        line = await asyncio.wait_for(pending, WAIT_SECONDS)
        while not line.startswith(tag + b" "):
            self._believe(line, holds=False)
            line = await self._response()
        if not line.startswith(tag + b" OK"):
            raise ProtocolError(f"IDLE: {line!r}")

    def close(self) -> None:
        self._writer.close()

    async def _until(self, tag: bytes, *, holds: bool) -> Answer:
        untagged = []
        while True:
            line = await asyncio.wait_for(self._response(), WAIT_SECONDS)
            if line.startswith(tag + b" "):
                self._codes(line)
                return Answer(line, untagged)
            self._believe(line, holds=holds)
            untagged.append(line)

    def _codes(self, tagged: bytes) -> None:
        for name, value in CODE.findall(tagged):
            if name == b"HIGHESTMODSEQ":
                self.belief.modseq = max(self.belief.modseq, int(value))

    def _believe(self, line: bytes, *, holds: bool) -> None:
        if line.startswith(b"+ "):
            return
        if not line.startswith(b"* ") or line.startswith((b"* BAD", b"* BYE", b"* NO")):
            raise ProtocolError(f"not expected: {line[:200]!r}")
        self.belief.take(line, holds=holds)

    async def _response(self) -> bytes:
        """One response without its literals' octets and without its end."""
        text = b""
        while True:
            line = await self._reader.readline()
            if not line.endswith(b"\r\n"):
                raise ProtocolError("the connection was closed")
            text += line
            match = LITERAL.search(line)
            if match is None:
                self.heard.append(text[:200])
                return text[:-2]
            await self._reader.readexactly(int(match[1]))
