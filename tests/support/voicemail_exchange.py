"""Voicemail over the memory stores, with calls that a test moves along by hand."""

import asyncio
from email import message_from_bytes
from email.policy import default

from tests.support.fake_call import FakeCall
from tests.support.house import DOMAIN, NUMBER
from tests.support.speech import packets
from um.core.message import INBOX
from um.service.forward.queue import OutboxQueue
from um.service.mailboxes import MailboxService
from um.service.routing import CallDoor
from voicemail.app import Owners, VoicemailService, VoicemailSettings
from voicemail.prompts import Prompts

PROMPTS = Prompts()


def owners(house):
    """What owners' calls need of the services."""
    door = CallDoor(house.store, house.clock, house.settings, voice_octets=1)
    return Owners(
        greetings=house.greetings,
        mailboxes=MailboxService(house.store, house.blobs, house.delivery, house.clock),
        accounts=house.accounts,
        authenticator=house.authenticator,
        find_number=door.find_number,
        outbox=OutboxQueue(house.store, house.bus, house.clock),
    )


class Exchange:
    """A house with voicemail, and calls to it."""

    def __init__(self, house, *, prompts=PROMPTS, review=False, fax_tones=None, **more):
        self.house = house
        self.voicemail = VoicemailService(
            house.spool,
            house.delivery,
            house.store,
            house.clock,
            prompts,
            VoicemailSettings(DOMAIN, review=review, **more),
            owners(house),
            fax_tones=fax_tones,
        )

    async def ring(self, account, **changes):
        """A call is offered; returns it with its application when it has been answered."""
        call = FakeCall.to(account, NUMBER, **changes)
        application = self.voicemail.application(call)
        await settle()
        if call.answered:
            application.answered()
            await settle()
        return call, application

    async def to_recording(self, account, **changes):
        call, application = await self.ring(account, **changes)
        application.playback_finished()
        application.playback_finished()
        return call, application

    def speak(self, application, samples):
        for packet in packets(samples):
            self.house.clock.advance(len(packet) / 16000)
            application.audio(packet)

    async def inbox(self, account):
        """Entry, content and octets of every message in the INBOX."""

        def read(tx):
            entries = tx.messages.entries(tx.mailboxes.by_name(account.id, INBOX).id)
            contents = tx.messages.contents([entry.content_id for entry in entries])
            return [(entry, contents[entry.content_id]) for entry in entries]

        rows = await self.house.store.read("inbox", read)
        return [
            (entry, content, await self.house.blobs.get(content.blob)) for entry, content in rows
        ]

    async def history(self, account):
        records = await self.house.store.read("t", lambda tx: tx.records.calls_of(account.id))
        return [(record.kind, record.caller, round(record.duration_seconds)) for record in records]

    async def reserved(self, account):
        return (await self.house.usage(account.id)).reserved_octets


async def settle():
    """Let every task go as far as it can without threads."""
    for _ in range(20):
        await asyncio.sleep(0)


def audio_of(octets):
    """The audio file in a voice message."""
    parts = list(message_from_bytes(octets, policy=default).walk())
    (audio,) = [part for part in parts if part.get_content_maintype() == "audio"]
    return audio.get_payload(decode=True)
