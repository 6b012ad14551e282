"""Call flows as the documentation writes them: read out of its text and played through.

A transcript stands in a block fenced with ```call. Its lines:

    # what it shows
    $ how things are before the call: `message`, `fax`, `invoice`, `no PIN`, `suspended REASON` …
    calls *98 from +15551230001     whom, from where; `unvouched`, `busy` or `direct` may follow
    < vm-youhave digits/1 …         prompts that are spoken, by name (`…`: and more); `~` is a
                                    recording
    > 1                             keys; or: speaks, speaks N s, is silent N s, hangs up
    = INBOX: heard, new             what lies there afterwards; `history:`, `greetings:` and whither
                                    copies were `sent:` too

What is spoken is heard to its end if `<` follows `<`, and cut off by a key if `>` follows.
"""

import contextlib
import re
from dataclasses import replace
from pathlib import Path

from tests.support.fake_call import FakeCall
from tests.support.house import NUMBER, House, incoming
from tests.support.retrieval_call import OwnerCall, Prompter
from tests.support.speech import say, silence
from tests.support.voicemail_exchange import Exchange
from um.core.account import GreetingKind
from um.core.errors import AuthenticationError, NotFoundError
from um.core.forwarding import AddressState, ForwardAddress
from um.core.message import FLAGGED, SEEN, MessageKind
from um.policy.quota import Room
from um.telephony.application import DivertCause, EndReason
from voicemail.audio import encode_wav, from_little_endian
from voicemail.events import Clip
from voicemail.keymaps import MAPS

BLOCK = re.compile(r"^```call\n(.*?)^```$", re.MULTILINE | re.DOTALL)
KINDS = {"fax": MessageKind.FAX, "invoice": MessageKind.INVOICE}


def transcripts(path: Path) -> dict[str, list[str]]:
    """The transcripts of a document by their title."""
    blocks = [block.splitlines() for block in BLOCK.findall(path.read_text("utf-8"))]
    return {lines[0].removeprefix("# "): lines[1:] for lines in blocks}


class Scribe(Prompter):
    """Writes `~` for a recording."""

    def spoken(self, words, *, language="en"):
        return b"".join(
            (b"<~>" if word.samples else b"") if isinstance(word, Clip) else self.samples(word)
            for word in words
        )


class Caller(OwnerCall):
    """A call to a number: it may become its owner's."""

    def __init__(self, exchange, account, caller, cause):
        self.exchange, self.voicemail = exchange, exchange.voicemail
        self.call = FakeCall.to(account, NUMBER)
        self.call.info = replace(self.call.info, caller_number=caller, cause=cause)
        self.application = self.voicemail.application(self.call)


class Transcript:
    """One flow, line by line."""

    def __init__(self, lines):
        self.lines = [line for line in lines if line.strip()]
        self.call = None
        self.heard = False
        """The last line was something spoken."""

    def _setting(self, name):
        start = f"$ {name} "
        found = [line.removeprefix(start) for line in self.lines if line.startswith(start)]
        return found[0] if found else None

    async def run(self):
        keys = self._setting("keys")
        more = {"keys": MAPS[keys]} if keys else {}
        self.house = House()
        self.exchange = Exchange(
            self.house, prompts=Scribe(), review=True, operator=self._setting("operator"), **more
        )
        self.account = await self.house.add(full_name="Anna Bell", quota_octets=1 << 21)
        for line in self.lines:
            try:
                await self._line(line[0], line[1:].strip())
            except AssertionError as error:
                raise AssertionError(f"{line!r}: {error}") from error
        if self.call is not None:
            await self.call.hang_up()
        await self.exchange.voicemail.drain()
        assert self.exchange.voicemail.failures == 0
        assert not self.house.spool.entries
        assert await self.exchange.reserved(self.account) == 0

    async def _line(self, mark, text):
        match mark:
            case "$":
                await self._set_up(text)
            case "c":
                await self._dial(text.removeprefix("alls ").split())
            case "<":
                await self._hear(text.split())
            case ">":
                await self._do(text)
            case "=":
                await self._look(*text.split(":"))
            case _:
                raise AssertionError("no such line")
        self.heard = mark == "<"

    # ---- before the call

    async def _set_up(self, text):
        what, _, rest = text.partition(" ")
        match what:
            case "operator" | "keys":
                pass  # known when the house was built
            case "message":
                await self._leave_message()
            case "fax" | "invoice":
                key = f"{what}{len(self.house.stored)}"
                await self.house.delivery.deliver(incoming(self.account, key, kind=KINDS[what]))
            case "no":
                await self.house.accounts.clear_pin("alice")
            case "suspended":
                await self.house.accounts.suspend("alice", reason=rest)
            case "closed":
                await self.house.accounts.close("alice")
            case "account":
                name, number = rest.split()
                await self.house.add(name, number)
            case "filled":
                size = (1 << 21) * int(rest.removesuffix(" %")) // 100 + 1
                await self.house.delivery.deliver(
                    incoming(
                        self.account,
                        "fill",
                        kind=MessageKind.MAIL,
                        size_octets=size,
                        room=Room.PROMISED,
                    )
                )
            case "guessed":
                for _ in range(int(rest.removesuffix(" times"))):
                    with contextlib.suppress(AuthenticationError):
                        await self.house.authenticator.verify_pin(self.account.id, "111111")
            case "greeting":
                data = encode_wav(from_little_endian(say(f"This is the {rest} greeting.")))
                await self.house.greetings.put(self.account.id, GreetingKind(rest), data)
            case "confirmed":
                address = ForwardAddress(
                    "a" * 32, self.account.id, rest, self.house.clock.now(), AddressState.CONFIRMED
                )
                await self.house.store.run("t", lambda tx: tx.addresses.add(address))
            case "chosen":
                key, value = rest.split()
                await self.house.accounts.set_preferences("alice", {key: value})
            case _:
                raise AssertionError(f"unknown: {text}")

    async def _leave_message(self):
        _, application = await self.exchange.to_recording(self.account)
        self.exchange.speak(application, say(seconds=6))
        application.ended(EndReason.CALLER)
        await self.exchange.voicemail.drain()
        self.house.clock.advance(60)

    # ---- the call

    async def _dial(self, words):
        called, _, caller, *rest = words
        self.account = (await self.house.accounts.show("alice")).account
        if called == "*98":
            own = caller == NUMBER
            self.call = OwnerCall(
                self.exchange,
                self.account if own else None,
                caller=caller,
                vouched="unvouched" not in rest,
            )
        else:
            cause = DivertCause(rest[0]) if rest else DivertCause.NO_ANSWER
            self.call = Caller(self.exchange, self.account, caller, cause)
        await self.call.begin()

    async def _hear(self, words):
        if self.heard:
            await self.call.listen()
        said = self.call.said
        if words[-1:] == ["…"]:
            words = words[:-1]
            said = said[: len(words)]
        assert said == words, self.call.said
        self.call.forget()

    async def _do(self, text):
        match text.split():
            case ["hangs", "up"]:
                await self.call.hang_up()
            case ["speaks", *length]:
                self._start_if_spoken()
                spoken = say(seconds=float(length[0])) if length else say(seconds=3)
                await self.call.speak(spoken)
            case ["is", "silent", seconds, "s"]:
                self._start_if_spoken()
                await self.call.speak(silence(float(seconds)))
                self.call.call.fire_timers()
                await self.call.settle()
            case ["cannot", "be", "transferred"]:
                self.call.call.transfers[-1][1]()
                await self.call.settle()
            case [keys]:
                await self.call.press(keys)
            case _:
                raise AssertionError("unknown deed")

    def _start_if_spoken(self):
        """Whoever speaks has heard the beep, whoever is silent the question."""
        if self.heard:
            self.call.application.playback_finished()

    # ---- afterwards

    async def _look(self, where, what):
        await self.exchange.voicemail.drain()
        expected = [each.strip() for each in what.split(",") if each.strip()]
        match where:
            case "history":
                found = [kind for kind, _, _ in await self.exchange.history(self.account)]
            case "greetings":
                found = sorted(await self.house.greetings.kinds(self.account.id))
            case "transfers":
                found = [target for target, _ in self.call.call.transfers]
            case "sent":
                rows = await self.exchange.voicemail.outbox.of_account(self.account.id)
                found = [row.target for row in rows]
            case "hung up":
                if self.heard:
                    await self.call.listen()
                found = [str(self.call.call.hung_up)]
            case _:
                found = await self._folder(where)
        assert found == expected, found

    async def _folder(self, where):
        """`INBOX` of the account, or `bob INBOX`."""
        owner, _, name = where.rpartition(" ")
        account = (await self.house.accounts.show(owner or "alice")).account

        def read(tx):
            try:
                box = tx.mailboxes.by_name(account.id, name)
            except NotFoundError:
                return []
            return tx.messages.entries(box.id) if box else []

        return [
            ("heard" if SEEN in entry.flags else "new")
            + (" urgent" if FLAGGED in entry.flags else "")
            + (f" {entry.kind}" if entry.kind is not MessageKind.VOICE else "")
            for entry in await self.house.store.read("t", read)
        ]
