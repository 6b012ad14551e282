"""Sessions under random commands: message numbers never lie, and all see the same in the end."""

import asyncio
import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.house import PASSWORD
from tests.support.imap_transcript import Stage

EXISTS = re.compile(rb"\* (\d+) EXISTS")
EXPUNGE = re.compile(rb"\* (\d+) EXPUNGE")
FETCH = re.compile(rb"\* (\d+) FETCH \((?:UID (\d+) )?FLAGS \(([^)]*)\)")


class Belief:
    """What a client may conclude from what it was told: a UID (or None) for each number."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.uids: list[int | None] = []
        self.flags: list[frozenset[bytes] | None] = []
        self.commands = 0
        self.rev2 = False

    def forget(self) -> None:
        """The mailbox is selected anew."""
        self.uids, self.flags = [], []

    def take(self, output: bytes, *, holds_expunge: bool) -> None:
        for line in output.split(b"\r\n"):
            if match := EXPUNGE.fullmatch(line):
                assert not holds_expunge, "EXPUNGE while the client counts by number"
                del self.uids[int(match[1]) - 1]
                del self.flags[int(match[1]) - 1]
            elif match := EXISTS.fullmatch(line):
                assert int(match[1]) >= len(self.uids), "EXISTS may not take messages away"
                more = int(match[1]) - len(self.uids)
                self.uids += [None] * more
                self.flags += [None] * more
            elif match := FETCH.match(line):
                number = int(match[1]) - 1
                assert number < len(self.uids), "a number that was never announced"
                if match[2]:
                    assert self.uids[number] in (None, int(match[2])), "a number lied"
                    self.uids[number] = int(match[2])
                self.flags[number] = frozenset(match[3].split()) - {b"\\Recent"}


COMMANDS = st.sampled_from(
    [
        "NOOP",
        "EXPUNGE",
        "CHECK",
        "FETCH {set} (UID FLAGS)",
        "FETCH {set} (FLAGS BODY[])",
        "UID FETCH 1:* (FLAGS)",
        "STORE {set} +FLAGS (\\Deleted)",
        "STORE {set} -FLAGS (\\Deleted k)",
        "STORE {set} FLAGS (\\Seen)",
        "STORE {set} +FLAGS.SILENT (\\Flagged)",
        "UID STORE 2:3 +FLAGS (\\Deleted \\Answered)",
        "UID EXPUNGE 1:4",
        "COPY {set} INBOX",
        "COPY {set} Trash",
        "MOVE {set} Trash",
        "UID MOVE 1:2 INBOX",
        "SEARCH UNDELETED",
        "SEARCH RETURN (SAVE) UNDELETED",
        "STORE $ -FLAGS.SILENT (\\Answered)",
        "UID MOVE $ Trash",
        "SORT (REVERSE ARRIVAL) UTF-8 ALL",
        "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 4)",
        "STORE {set} (UNCHANGEDSINCE 5) +FLAGS (\\Answered)",
        "IDLE\r\nDONE",
        "SELECT INBOX",
        "EXAMINE INBOX",
    ]
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["A", "B", "C", "deposit"]),
        COMMANDS,
        st.sampled_from(["1", "2", "*", "1:*", "2:3", "1,3"]),
    ),
    max_size=30,
)
SILENT = {b"\\Flagged", b"\\Answered"}
"""What COMMANDS change with a silent STORE: who asked for it is told nothing."""
RETIRED = re.compile(rb"^\* SEARCH|^\* \d+ RECENT|[\\]Recent|\[UNSEEN", re.MULTILINE)
"""What IMAP4rev2 knows no more (RFC 9051 Appendix E)."""
NOTIFIES = [
    f"NOTIFY SET ({which} (MessageNew MessageExpunge FlagChange))"
    for which in ("SELECTED", "SELECTED-DELAYED")
]
EXPUNGED = [
    ("deposit", "", ""),
    ("A", "NOOP", ""),
    ("A", "STORE {set} +FLAGS (\\Deleted)", "1"),
    ("A", "EXPUNGE", ""),
    ("B", "FETCH {set} (UID FLAGS)", "1"),
]
HOLDS = ("FETCH", "STORE", "SEARCH", "SORT")


async def say(stage: Stage, belief: Belief, command: str) -> bytes:
    """Send one command; exactly one tagged response must come."""
    belief.commands += 1
    tag = f"t{belief.commands}".encode()
    client = stage.clients[belief.name]
    client.send(tag + b" " + command.encode() + b"\r\n")
    await stage.settle()
    output = client.take_all()
    tagged = [line for line in output.split(b"\r\n") if line.startswith(tag + b" ")]
    assert len(tagged) == 1, output
    if command.startswith(("SELECT", "EXAMINE")):
        belief.forget()
    belief.take(output, holds_expunge=command.startswith(HOLDS))
    if belief.rev2:
        assert not RETIRED.search(output), output
    belief.rev2 = belief.rev2 or command == "ENABLE IMAP4rev2"
    return tagged[0]


def hear(stage: Stage, belief: Belief, *, delayed: bool) -> None:
    """What NOTIFY tells between commands (RFC 5465 §6.1)."""
    belief.take(stage.clients[belief.name].take_all(), holds_expunge=delayed)


async def everything(stage: Stage, belief: Belief) -> dict[int, frozenset[bytes]]:
    if not belief.uids:
        return {}
    assert b" OK " in await say(stage, belief, "FETCH 1:* (UID FLAGS)")
    return dict(zip(belief.uids, belief.flags, strict=True))


async def in_the_store(stage: Stage, account_id, name: str):
    """The entries as the tables have them, without what any session or index thinks."""

    def read_txn(tx):
        return tx.messages.entries(tx.mailboxes.by_name(account_id, name).id)

    return await stage.house.store.read("truth", read_txn)


async def story(steps, enabled) -> None:
    stage = Stage()
    account = await stage.house.add("alice", None)
    beliefs = {}
    for name in "ABC":
        beliefs[name] = belief = Belief(name)
        await stage.connect(name)
        await say(stage, belief, f'LOGIN alice "{PASSWORD}"')
        if name == "B" and enabled:
            await say(stage, belief, enabled)
        await say(stage, belief, "SELECT INBOX")
    for who, command, numbers in steps:
        if who == "deposit":
            await stage.deposit("voice", "alice")
            await stage.settle()
            hear(stage, beliefs["B"], delayed="DELAYED" in enabled)
            continue
        belief = beliefs[who]
        if "{set}" in command and not belief.uids:
            continue
        await say(stage, belief, command.replace("{set}", numbers))
        hear(stage, beliefs["B"], delayed="DELAYED" in enabled)
    for belief in beliefs.values():
        await say(stage, belief, "NOOP")
    seen = []
    for belief in beliefs.values():
        told = list(belief.flags)
        shown = await everything(stage, belief)
        for number, flags in enumerate(told):
            if flags is not None:
                now = belief.flags[number]
                assert flags - SILENT == now - SILENT, "flags changed without a word"
        seen.append(shown)
    kept = await in_the_store(stage, account.id, "INBOX")
    truth = {entry.uid: frozenset(flag.encode() for flag in entry.flags) for entry in kept}
    assert seen == [truth, truth, truth]
    usage = await stage.mailboxes.usage(account.id)
    kept += await in_the_store(stage, account.id, "Trash")
    assert usage.used_octets == sum(entry.size_octets for entry in kept)
    await stage.close()


@settings(max_examples=150, deadline=None)
@given(STEPS, st.sampled_from(["", "ENABLE IMAP4rev2", *NOTIFIES]))
@example(EXPUNGED, NOTIFIES[0])
@example(EXPUNGED, NOTIFIES[1])
def test_three_sessions_converge(steps, enabled):
    """Whatever three clients and the telephone do, each is told all, in terms it can follow."""
    asyncio.run(story(steps, enabled))
