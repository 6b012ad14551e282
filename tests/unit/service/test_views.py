"""Folders of their own for voice messages, faxes and invoices, and who looks into them."""

import asyncio

import pytest

from tests.support.house import House, incoming
from um.core.errors import InvalidError
from um.core.message import INBOX, SEEN, TRASH, FlagOperation, MessageKind
from um.core.waiting import Waiting
from um.policy.views import KINDS, usual_name
from um.service.mailboxes import MailboxService
from um.service.message_waiting import Tallies
from um.service.views import Views


class Scene:
    """A house with one account, its views, its mailboxes."""

    def __init__(self) -> None:
        self.house = House()
        self.views = Views(self.house.store, self.house.clock, self.house.settings)
        self.mailboxes = MailboxService(
            self.house.store, self.house.blobs, self.house.delivery, self.house.clock
        )
        self.tallies = Tallies()
        self.keys = 0

    async def begin(self, **more: object) -> None:
        self.account = await self.house.add("alice", **more)

    async def lamp(self) -> Waiting:
        tally = await self.house.store.read(
            "lamp", lambda tx: self.tallies.of_account(tx, self.account.id)
        )
        return tally.voice


async def folder_of(scene: Scene, kind: MessageKind) -> str:
    """Deliver one, and say where it lies."""
    scene.keys += 1
    given = incoming(scene.account, f"key-{scene.keys}", kind=kind)
    delivered = await scene.house.delivery.deliver(given)
    for folder in await scene.mailboxes.folders(scene.account.id):
        if folder.mailbox.id == delivered.mailbox_id:
            return folder.mailbox.name
    raise AssertionError("it lies nowhere")


def play(story) -> None:
    async def run() -> None:
        scene = Scene()
        await scene.begin()
        await story(scene)

    asyncio.run(run())


def test_everything_goes_into_inbox_unless_the_owner_chose():
    """The default; ordinary mail and notices have no folder of their own."""

    async def story(scene: Scene) -> None:
        for kind in MessageKind:
            assert await folder_of(scene, kind) == INBOX
        assert await scene.views.chosen("alice") == dict.fromkeys(KINDS, INBOX)
        for kind in (MessageKind.MAIL, MessageKind.NOTICE):
            with pytest.raises(InvalidError):
                await scene.views.choose("alice", kind, "Own")

    play(story)


def test_new_messages_go_where_the_owner_wants_and_old_ones_stay():
    """One folder for two kinds, one with the usual name; what lies in INBOX is not moved."""

    async def story(scene: Scene) -> None:
        await folder_of(scene, MessageKind.VOICE)
        await scene.views.choose("alice", MessageKind.VOICE, "Phone/Calls")
        await scene.views.choose("alice", MessageKind.FAX, "Phone/Calls")
        await scene.views.choose("alice", MessageKind.INVOICE, None)
        assert await folder_of(scene, MessageKind.VOICE) == "Phone/Calls"
        assert await folder_of(scene, MessageKind.FAX) == "Phone/Calls"
        assert await folder_of(scene, MessageKind.INVOICE) == "Invoices"
        assert await folder_of(scene, MessageKind.MAIL) == INBOX
        inbox = await scene.mailboxes.open(scene.account.id, INBOX)
        assert [entry.kind for entry in inbox.entries] == [MessageKind.VOICE, MessageKind.MAIL]
        await scene.views.choose("alice", MessageKind.VOICE, "inbox")
        assert await folder_of(scene, MessageKind.VOICE) == INBOX

    play(story)


def test_a_folder_may_be_renamed_and_may_go():
    """It is known by its id; without it messages come into INBOX again."""

    async def story(scene: Scene) -> None:
        await scene.views.choose("alice", MessageKind.FAX, None)
        await scene.mailboxes.rename(scene.account.id, "Faxes", "Old/Paper")
        assert await folder_of(scene, MessageKind.FAX) == "Old/Paper"
        await scene.views.choose("alice", MessageKind.FAX, None)
        assert (await scene.views.chosen("alice"))[MessageKind.FAX] == "Old/Paper"
        await scene.mailboxes.delete(scene.account.id, "Old/Paper")
        assert await folder_of(scene, MessageKind.FAX) == INBOX

    play(story)


def test_trash_is_no_folder_for_new_messages():
    """Nor is a name that no folder can have."""

    async def story(scene: Scene) -> None:
        for name in (TRASH, "a//b", "%"):
            with pytest.raises(InvalidError):
                await scene.views.choose("alice", MessageKind.VOICE, name)

    play(story)


def test_the_lamp_counts_wherever_new_messages_are_put_or_were():
    """INBOX, the folder in use, and one that is used no longer; not Trash, not other folders."""

    async def story(scene: Scene) -> None:
        await folder_of(scene, MessageKind.VOICE)
        await scene.views.choose("alice", MessageKind.VOICE, None)
        await folder_of(scene, MessageKind.VOICE)
        assert await scene.lamp() == Waiting(new=2)
        await scene.views.choose("alice", MessageKind.VOICE, INBOX)
        assert await scene.lamp() == Waiting(new=2)
        folder = await scene.mailboxes.open(scene.account.id, "Voicemail")
        uids = [entry.uid for entry in folder.entries]
        where = scene.account.id, folder.mailbox.id
        seen = {"operation": FlagOperation.ADD, "flags": [SEEN]}
        await scene.mailboxes.change_flags(*where, uids=uids, **seen)
        assert await scene.lamp() == Waiting(new=1, old=1)
        await scene.mailboxes.discard(*where, uids=uids)
        assert await scene.lamp() == Waiting(new=1)

    play(story)


def test_what_comes_out_of_trash_goes_to_its_kind():
    """Voice messages into their folder, mail into INBOX."""

    async def story(scene: Scene) -> None:
        await scene.views.choose("alice", MessageKind.VOICE, None)
        trash = await scene.mailboxes.find(scene.account.id, TRASH)
        for kind in (MessageKind.VOICE, MessageKind.MAIL):
            name = await folder_of(scene, kind)
            folder = await scene.mailboxes.open(scene.account.id, name)
            uids = [entry.uid for entry in folder.entries]
            await scene.mailboxes.discard(scene.account.id, folder.mailbox.id, uids=uids)
        thrown = (await scene.mailboxes.open(scene.account.id, TRASH)).entries
        restored = await scene.mailboxes.restore(
            scene.account.id, trash.id, uids=[entry.uid for entry in thrown]
        )
        assert len(restored.messages) == 2
        for name, kind in (("Voicemail", MessageKind.VOICE), (INBOX, MessageKind.MAIL)):
            folder = await scene.mailboxes.open(scene.account.id, name)
            assert [entry.kind for entry in folder.entries] == [kind]

    play(story)


def test_an_append_goes_where_the_client_says():
    """A view is about what comes, not about what the owner puts somewhere."""

    async def story(scene: Scene) -> None:
        await scene.views.choose("alice", MessageKind.VOICE, None)
        given = incoming(scene.account, "own", kind=MessageKind.VOICE, by_owner=True)
        delivered = await scene.house.delivery.deliver(given)
        inbox = await scene.mailboxes.find(scene.account.id, INBOX)
        assert delivered.mailbox_id == inbox.id

    play(story)


def test_each_language_has_its_names():
    """Every kind, and English for a language that has none."""
    for language in ("en", "fr", "es", "xx"):
        assert all(usual_name(kind, language) for kind in KINDS)
    assert usual_name(MessageKind.INVOICE, "fr") == "Factures"
    assert usual_name(MessageKind.INVOICE, "xx") == "Invoices"
