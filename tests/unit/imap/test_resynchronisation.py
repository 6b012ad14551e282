"""A client that comes back by QRESYNC knows what one that reads everything knows (RFC 7162)."""

import asyncio
import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.house import PASSWORD
from tests.support.imap_transcript import Stage
from tests.unit.imap.test_convergence import COMMANDS, HOLDS, Belief, say

UIDVALIDITY = re.compile(rb"\[UIDVALIDITY (\d+)\]")
HIGHESTMODSEQ = re.compile(rb"\[HIGHESTMODSEQ (\d+)\]")
EXISTS = re.compile(rb"\* (\d+) EXISTS")
VANISHED = re.compile(rb"\* VANISHED( \(EARLIER\))? ([\d:,]+)")
FETCH = re.compile(rb"\* (\d+) FETCH \((.*)")
UID = re.compile(rb"UID (\d+)")
FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
MODSEQ = re.compile(rb"MODSEQ \((\d+)\)")
SILENT = re.compile(r"([+-])FLAGS\.SILENT \((.*)\)")


def members(written: bytes) -> list[int]:
    """The numbers of a set."""
    found: list[int] = []
    for piece in written.split(b","):
        low, _, high = piece.partition(b":")
        found += range(int(low), int(high or low) + 1)
    return found


class Returning:
    """A mail program that keeps what it was told while it is away.

    It takes mod-sequences for known as RFC 7162 §6 has it: HIGHESTMODSEQ whatever else was told, else
    the highest of those in FETCH.
    """

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.numbers: list[int | None] = []
        """The UID of each message number; None if it was not told yet."""
        self.flags: dict[int, frozenset[bytes]] = {}
        self.uidvalidity = 0
        self.modseq = 0
        self.highest = 0
        self.connected = False
        self._commands = 0

    async def say(self, command: str) -> bytes:
        """Send one command and believe what comes."""
        self._commands += 1
        tag = b"r%d" % self._commands
        client = self.stage.clients["C"]
        client.send(tag + b" " + command.encode() + b"\r\n")
        await self.stage.settle()
        output = client.take_all()
        assert output.count(b"\r\n" + tag + b" ") + output.startswith(tag + b" ") == 1, output
        self.highest = 0
        told = [self._believe(line, command) for line in output.split(b"\r\n")]
        self.modseq = self.highest or max(self.modseq, *told)
        return output

    def _believe(self, line: bytes, command: str) -> int:
        """Take one line in; returns the mod-sequence that it tells, or 0."""
        if match := VANISHED.fullmatch(line):
            gone = members(match[2])
            if not match[1]:
                assert not command.startswith(HOLDS), "VANISHED while the client counts by number"
                assert set(gone) <= set(self.numbers), "VANISHED of what was never there"
            self.numbers = [uid for uid in self.numbers if uid not in gone]
            for uid in gone:
                self.flags.pop(uid, None)
        elif match := EXISTS.fullmatch(line):
            assert int(match[1]) >= len(self.numbers)
            self.numbers += [None] * (int(match[1]) - len(self.numbers))
        elif match := FETCH.match(line):
            return self._fetched(int(match[1]), match[2], command)
        elif match := HIGHESTMODSEQ.search(line):
            self.highest = int(match[1])
        elif match := UIDVALIDITY.search(line):
            self.uidvalidity = int(match[1])
        return 0

    def _fetched(self, number: int, items: bytes, command: str) -> int:
        assert number <= len(self.numbers), "a number that was never announced"
        if uid := UID.search(items):
            assert self.numbers[number - 1] in (None, int(uid[1])), "a number lied"
            self.numbers[number - 1] = int(uid[1])
        known = self.numbers[number - 1]
        flags, modseq = FLAGS.search(items), MODSEQ.search(items)
        assert not flags or modseq, "flags without their mod-sequence"
        silent = SILENT.search(command)
        if known is not None and silent and not flags:
            stored = frozenset(silent[2].encode().split())
            before = self.flags.get(known, frozenset())
            self.flags[known] = before | stored if silent[1] == "+" else before - stored
        if known is not None and flags:
            self.flags[known] = frozenset(flags[1].split()) - {b"\\Recent"}
        return int(modseq[1]) if modseq else 0

    async def learn(self) -> None:
        """Ask for the UIDs that EXISTS alone did not tell."""
        if None in self.numbers:
            await self.say(f"FETCH {self.numbers.index(None) + 1}:* (UID FLAGS)")

    async def come(self, *, by_fetch: bool = False) -> None:
        """Connect, and learn what was missed: in the answer to SELECT, or `by_fetch` after it."""
        client = await self.stage.connect("C")
        client.take_all()
        await self.say(f'LOGIN alice "{PASSWORD}"')
        await self.say("ENABLE QRESYNC")
        self.connected = True
        await self.select(by_fetch=by_fetch)

    async def select(self, select: str = "SELECT INBOX", *, by_fetch: bool = False) -> None:
        """Select the mailbox with all that is known of it (RFC 7162 §3.2.5, §3.2.6)."""
        kept = sorted(self.flags)
        self.numbers = []
        catch_up = ""
        if self.uidvalidity and by_fetch:
            catch_up = f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {self.modseq} VANISHED)"
        elif self.uidvalidity:
            known = f" {','.join(map(str, kept))}" if kept else ""
            select += f" (QRESYNC ({self.uidvalidity} {self.modseq}{known}))"
        await self.say(select)
        if catch_up:
            await self.say(catch_up)
        if kept:
            # What EXISTS counts and no line named is what was known before, in its order.
            named = {uid for uid in self.numbers if uid is not None}
            old = iter(sorted(self.flags.keys() - named))
            self.numbers = [uid if uid is not None else next(old, None) for uid in self.numbers]
        await self.learn()

    async def go(self) -> None:
        """Lose the network."""
        self.stage.clients["C"].link.lose()
        await self.stage.settle()
        self.connected = False


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["A", "B", "C", "C", "deposit", "come or go"]),
        COMMANDS,
        st.sampled_from(["1", "2", "*", "1:*", "2:3", "1,3"]),
    ),
    max_size=30,
)


async def story(steps, *, by_fetch_at_last: bool) -> None:
    stage = Stage()
    account = await stage.house.add("alice", None)
    beliefs = {}
    for name in "AB":
        beliefs[name] = belief = Belief(name)
        await stage.connect(name)
        await say(stage, belief, f'LOGIN alice "{PASSWORD}"')
        await say(stage, belief, "SELECT INBOX")
    returning = Returning(stage)
    await returning.come()
    for who, command, numbers in steps:
        if who == "deposit":
            await stage.deposit("voice", "alice")
            await stage.settle()
        elif who == "come or go":
            by_fetch = numbers in {"1", "2", "*"}
            await (returning.go() if returning.connected else returning.come(by_fetch=by_fetch))
        elif who == "C":
            if returning.connected and command in {"SELECT INBOX", "EXAMINE INBOX"}:
                await returning.select(command)
            elif returning.connected and ("{set}" not in command or returning.numbers):
                await returning.say(command.replace("{set}", numbers))
                await returning.learn()
        elif "{set}" not in command or beliefs[who].uids:
            await say(stage, beliefs[who], command.replace("{set}", numbers))
    if returning.connected:
        await returning.go()
    await returning.come(by_fetch=by_fetch_at_last)
    snapshot = await stage.mailboxes.open(account.id, "INBOX")
    truth = {
        entry.uid: frozenset(flag.encode() for flag in entry.flags) for entry in snapshot.entries
    }
    assert returning.flags == truth
    assert returning.numbers == sorted(truth)
    await stage.close()


HELD_BACK = [
    ("deposit", "", ""),
    ("deposit", "", ""),
    ("C", "NOOP", ""),
    ("A", "NOOP", ""),
    ("A", "STORE {set} +FLAGS (\\Deleted)", "1"),
    ("A", "EXPUNGE", ""),
    ("C", "STORE {set} +FLAGS.SILENT (\\Flagged)", "2"),
]
"""The last mod-sequence that C is told is higher than that of an expunge it must not be told yet."""

NEWEST_GONE = [
    ("deposit", "", ""),
    ("deposit", "", ""),
    ("C", "NOOP", ""),
    ("come or go", "", ""),
    ("A", "NOOP", ""),
    ("A", "STORE {set} +FLAGS (\\Deleted)", "2"),
    ("A", "EXPUNGE", ""),
]
"""What C missed lies beyond the `*` of its UID FETCH 1:*."""


@settings(max_examples=100, deadline=None)
@given(STEPS, st.booleans())
@example(HELD_BACK, False)
@example(NEWEST_GONE, True)
def test_who_comes_back_knows_all(steps, by_fetch_at_last):
    """Two clients, the telephone and a third that comes and goes: it misses nothing, ever."""
    asyncio.run(story(steps, by_fetch_at_last=by_fetch_at_last))
