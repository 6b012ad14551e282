"""NOTIFY: who only listens knows all mailboxes as they are."""

import asyncio
import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.house import PASSWORD
from tests.support.imap_transcript import Stage
from um.core.events import MailboxChanged

STATUS = re.compile(r"\* STATUS (\S+) \((.*)\)")
LIST = re.compile(r'\* LIST \(([^)]*)\) "/" (\S+)(?: \("OLDNAME" \((\S+)\)\))?')
METADATA = re.compile(r"\* METADATA (\S+) /private/a")
NAMES = st.sampled_from(["INBOX", "Trash", "x", "y", "x/z"])
ACTIONS = st.sampled_from(
    [
        "CREATE {0}",
        "DELETE {0}",
        "RENAME {0} {1}",
        "SUBSCRIBE {0}",
        "UNSUBSCRIBE {0}",
        'SETMETADATA {0} (/private/a "v{2}")',
        "SETMETADATA {0} (/private/a NIL)",
        "APPEND {0} {{5+}}\r\na:b\r\n",
        "SELECT {0}",
        "STORE 1 FLAGS (\\Seen)",
        "STORE 1 FLAGS ()",
        "STORE 1 +FLAGS (\\Deleted)",
        "EXPUNGE",
        "MOVE 1 {0}",
        "UNSELECT",
        "deposit",
    ]
)
WANTED = "MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange"


class Listener:
    """What a client makes of what it is told unasked."""

    def __init__(self, folders: dict[str, dict[str, int]], subscribed: set[str]) -> None:
        self.folders = folders
        self.subscribed = subscribed
        self.noted: set[str] = set()

    def take(self, line: str) -> None:
        if match := STATUS.fullmatch(line):
            words = match[2].split()
            values = zip(words[::2], map(int, words[1::2]), strict=True)
            self.folders[match[1]].update(values)
        elif match := LIST.fullmatch(line):
            self._listed(match[1], match[2], match[3])
        elif match := METADATA.fullmatch(line):
            self.noted.add(match[1])
        else:
            raise AssertionError(line)

    def _listed(self, attributes: str, name: str, old_name: str | None) -> None:
        self.subscribed.discard(name)
        if "\\Subscribed" in attributes:
            self.subscribed.add(name)
        if old_name is not None:
            for each in [each for each in self.folders if f"{each}/".startswith(f"{old_name}/")]:
                self.folders[name + each[len(old_name) :]] = self.folders.pop(each)
        elif "\\NonExistent" in attributes:
            self.folders.pop(name, None)
        else:
            self.folders.setdefault(name, {"MESSAGES": 0, "UIDNEXT": 1, "UNSEEN": 0})


async def ask(stage: Stage, name: str, command: str) -> list[str]:
    client = stage.clients[name]
    client.send(f"t {command}\r\n".encode())
    await stage.settle()
    return client.take_all().decode().split("\r\n")


async def truth(stage: Stage) -> tuple[dict[str, dict[str, int]], set[str]]:
    """What a third client finds."""
    folders: dict[str, dict[str, int]] = {}
    for line in await ask(stage, "C", 'LIST "" * RETURN (STATUS (MESSAGES UIDNEXT UNSEEN))'):
        if match := STATUS.fullmatch(line):
            words = match[2].split()
            folders[match[1]] = dict(zip(words[::2], map(int, words[1::2]), strict=True))
    found = [LIST.fullmatch(line) for line in await ask(stage, "C", 'LIST (SUBSCRIBED) "" *')]
    return folders, {match[2] for match in found if match}


async def logged_in(stage: Stage, *names: str) -> None:
    for name in names:
        await stage.connect(name)
        await ask(stage, name, f'LOGIN alice "{PASSWORD}"')


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(ACTIONS, NAMES, NAMES), max_size=25))
@example([(act + " {0}", "x", "x") for act in ("CREATE", "SUBSCRIBE", "DELETE")])
@example([("deposit", "x", "x"), ("RENAME {0} {1}", "INBOX", "x")])
def test_a_listener_knows_all(actions):
    """Random folders, messages, flags, subscriptions and notes of another session."""

    async def story():
        stage = Stage()
        await stage.house.add("alice", None)
        await logged_in(stage, "A", "B", "C")
        listener = Listener(*await truth(stage))
        await ask(stage, "A", f"NOTIFY SET (personal ({WANTED}))")
        for number, (action, name, other) in enumerate(actions):
            if action == "deposit":
                await stage.deposit("voice", "alice")
                await stage.settle()
                answer = []
            else:
                answer = await ask(stage, "B", action.format(name, other, number))
            for line in stage.clients["A"].take_all().decode().split("\r\n")[:-1]:
                listener.take(line)
            if action.startswith("SETMETADATA") and "NIL" not in action:
                assert (name in listener.noted) >= any(line.startswith("t OK") for line in answer)
            folders, subscribed = await truth(stage)
            told = {each: _counts(values) for each, values in listener.folders.items()}
            assert (told, listener.subscribed) == (folders, subscribed)
        await stage.close()

    asyncio.run(story())


def _counts(values: dict[str, int]) -> dict[str, int]:
    return {item: values[item] for item in ("MESSAGES", "UIDNEXT", "UNSEEN")}


def test_a_hint_that_comes_during_an_outage_is_not_lost():
    """The store is away when the hint comes: the listener looks again by itself."""

    async def story():
        stage = Stage()
        account = await stage.house.add("alice", None)
        await logged_in(stage, "A")
        await ask(stage, "A", "NOTIFY SET (personal (MessageNew MessageExpunge))")
        inbox = await stage.mailboxes.find(account.id, "INBOX")
        stage.house.store.unavailable = True
        stage.services.registry.on_mailbox_changed(MailboxChanged(account.id, inbox.id, 2))
        await stage.settle()
        assert stage.clients["A"].take_all() == b""
        stage.house.store.unavailable = False
        stage.services.registry._followers.clear()
        await stage.deposit("voice", "alice")
        await stage.advance(11)
        assert stage.clients["A"].take_all() == b"* STATUS INBOX (MESSAGES 1 UIDNEXT 2)\r\n"
        await stage.close()

    asyncio.run(story())
