"""From the spool to the mailbox: replay after a crash, and audio files given by hand."""

import asyncio
from dataclasses import replace

import pytest

from tests.support.fake_call import CALLER
from tests.support.house import DOMAIN, NUMBER, House
from tests.support.speech import correlates, decode_mp3, save_wav, say, silence
from tests.support.voicemail_exchange import Exchange, audio_of, owners
from um.core.errors import QuotaExceededError, RefusedDocumentError
from um.core.ids import E164, ReservationId
from um.core.message import MessageKind
from um.mime.build import AudioFormat
from um.policy.quota import worst_case_voice_octets
from um.service.call_facts import CallFacts
from voicemail.app import Outcome, VoicemailService, VoicemailSettings
from voicemail.facts import KIND, read_facts, write_facts
from voicemail.recorder import AUDIO_FILE


class Killed(BaseException):
    """The process dies here."""


def facts_of(house, account, *, reservation=None):
    return CallFacts(
        account_id=account.id,
        number=E164(NUMBER),
        caller_number=CALLER,
        caller_name="Anna",
        started_at=house.clock.now(),
        call_id="c1@core",
        cause="no-answer",
        reservation_id=reservation,
    )


async def left_behind(exchange, account, samples, *, sealed=False, reserve=True):
    """What a process that died leaves: an entry with audio, and a reservation."""
    house = exchange.house
    reservation = None
    if reserve:
        octets = worst_case_voice_octets(120)
        reservation = await house.delivery.reserve(account.id, octets, seconds=720)
    entry = await house.spool.open(write_facts(facts_of(house, account, reservation=reservation)))
    if samples:
        entry.append(AUDIO_FILE, samples)
        await entry.sync()
    if sealed:
        await entry.seal({"ended_at": house.clock.now().isoformat()})
    house.spool.abandon()
    return entry


def story(tell):
    async def told():
        exchange = Exchange(House())
        await tell(exchange, await exchange.house.add())

    asyncio.run(told())


@pytest.mark.parametrize("sealed", [True, False])
def test_a_recording_that_a_crash_left_is_delivered_once(sealed):
    """Sealed or not, what was synced is a message, however often the replay is made."""
    spoken = say(seconds=5)

    async def tell(exchange, account):
        await left_behind(exchange, account, spoken, sealed=sealed)
        (entry,) = await exchange.house.spool.abandoned()
        assert entry.facts["kind"] == KIND == "voice"
        assert await exchange.voicemail.recover(entry) is Outcome.DELIVERED
        ((_, content, octets),) = await exchange.inbox(account)
        assert content.duration_seconds == 5
        assert correlates(decode_mp3(audio_of(octets)), spoken) > 0.95
        assert await exchange.reserved(account) == 0
        assert not exchange.house.spool.entries

    story(tell)


@pytest.mark.parametrize("samples", [b"", silence(4), say(seconds=0.5), b"\x01"])
def test_a_replay_without_a_second_of_sound_is_a_missed_call(samples):
    """Nothing worth keeping was synced: a line in the history, the room given back."""

    async def tell(exchange, account):
        entry = await left_behind(exchange, account, samples)
        assert await exchange.voicemail.recover(entry) is Outcome.MISSED
        assert await exchange.inbox(account) == []
        assert await exchange.history(account) == [("missed-voice", CALLER, 0)]
        assert await exchange.reserved(account) == 0
        assert not exchange.house.spool.entries

    story(tell)


STEPS = (
    "message.rendered",
    "transaction.begun",
    "transaction.before-commit",
    "transaction.committed",
    "delivery.acknowledging",
)


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_of_the_delivery_it_arrives_once(step):
    """The process dies at the step; the next one replays the entry: one message, one line."""
    armed = [True]

    def steps(name):
        if name == step and armed[0]:
            armed[0] = False
            raise Killed

    async def tell():
        house = House(steps=steps)
        exchange = Exchange(house)
        exchange.voicemail = VoicemailService(
            house.spool,
            house.delivery,
            house.store,
            house.clock,
            exchange.voicemail.prompts,
            VoicemailSettings(DOMAIN),
            owners(house),
            steps=steps,
        )
        account = await house.add()
        entry = await left_behind(exchange, account, say(seconds=3), sealed=True)
        with pytest.raises(Killed):
            await exchange.voicemail.recover(entry)
        assert house.spool.entries
        again = Exchange(house)
        assert await again.voicemail.recover(entry) is Outcome.DELIVERED
        assert len(await again.inbox(account)) == 1
        assert await again.history(account) == [("voice", CALLER, 3)]
        assert await again.reserved(account) == 0
        assert not house.spool.entries

    asyncio.run(tell())


def test_a_replay_after_its_reservation_expired_is_delivered_all_the_same():
    """An outage of a day, the mailbox full meanwhile: what was recorded is never thrown away."""

    async def tell(exchange, account):
        entry = await left_behind(exchange, account, say(seconds=3))
        exchange.house.clock.advance(hours=24)
        await exchange.house.delivery.reserve(account.id, 104_857_600, seconds=60)
        assert await exchange.voicemail.recover(entry) is Outcome.DELIVERED

    story(tell)


def test_an_entry_of_an_account_that_is_gone_is_discarded():
    """No message without a mailbox, and nothing left of it."""

    async def tell(exchange, account):
        entry = await left_behind(exchange, account, say(seconds=3))
        await exchange.house.store.run("t", lambda tx: tx.accounts.delete(account.id))
        assert await exchange.voicemail.recover(entry) is Outcome.GONE
        assert not exchange.house.spool.entries

    story(tell)


@pytest.mark.parametrize(
    "damage",
    [{"account": None}, {"started_at": "yesterday"}, {"sample_format": "opus"}, {"number": None}],
)
def test_an_entry_whose_facts_cannot_be_read_stays(damage):
    """It is not guessed at and not thrown away: an operator can look at it."""

    async def tell(exchange, account):
        facts = write_facts(facts_of(exchange.house, account)) | damage
        facts = {name: value for name, value in facts.items() if value is not None}
        entry = await exchange.house.spool.open(facts)
        assert await exchange.voicemail.recover(entry) is Outcome.BROKEN
        assert exchange.house.spool.entries

    story(tell)


def test_facts_are_read_as_they_were_written():
    """Everything that the message will say survives a crash."""
    house = House()

    async def tell():
        account = await house.add()
        for reservation in (None, ReservationId("r1")):
            facts = facts_of(house, account, reservation=reservation)
            assert read_facts(write_facts(facts)) == facts
        naive = write_facts(replace(facts, started_at=facts.started_at.replace(tzinfo=None)))
        with pytest.raises(ValueError, match="zone"):
            read_facts(naive)

    asyncio.run(tell())


def test_an_audio_file_is_delivered_whole(tmp_path):
    """By hand: neither trimmed nor made louder, with the caller as given."""
    spoken = silence(1) + say(seconds=4) + silence(2)
    data = save_wav(spoken, tmp_path / "a.wav").read_bytes()

    async def tell(exchange, account):
        delivered = await exchange.voicemail.deliver_file(
            account, data, number=E164(NUMBER), caller_number=CALLER, caller_name="Anna"
        )
        ((entry, content, octets),) = await exchange.inbox(account)
        assert (entry.uid, entry.kind) == (delivered.uid, MessageKind.VOICE)
        assert content.duration_seconds == 7
        heard = decode_mp3(audio_of(octets))
        assert len(heard) == len(spoken)
        assert correlates(heard, spoken) > 0.95
        assert await exchange.history(account) == [("voice", CALLER, 7)]

    story(tell)


def test_a_file_that_is_no_audio_is_refused_and_leaves_nothing():
    """The reason is given; no message, no history."""

    async def tell(exchange, account):
        with pytest.raises(RefusedDocumentError, match="no known audio"):
            await exchange.voicemail.deliver_file(account, b"no audio", number=E164(NUMBER))
        assert await exchange.inbox(account) == []
        assert await exchange.history(account) == []

    story(tell)


def test_a_file_that_does_not_fit_is_refused(tmp_path):
    """Delivered by hand, a file has no room of its own."""
    data = save_wav(say(seconds=4), tmp_path / "a.wav").read_bytes()

    async def tell(exchange, account):
        await exchange.house.delivery.reserve(account.id, 104_850_000, seconds=60)
        with pytest.raises(QuotaExceededError):
            await exchange.voicemail.deliver_file(account, data, number=E164(NUMBER))

    story(tell)


def test_wav_on_request():
    """The operator's other format: every sample as it was heard."""

    async def tell():
        house = House()
        exchange = Exchange(house)
        settings = VoicemailSettings(DOMAIN, audio_format=AudioFormat.WAV)
        service = VoicemailService(
            house.spool, house.delivery, house.store, house.clock, None, settings, owners(house)
        )
        account = await house.add()
        entry = await left_behind(exchange, account, say(seconds=3))
        assert await service.recover(entry) is Outcome.DELIVERED
        ((_, _, octets),) = await exchange.inbox(account)
        assert audio_of(octets)[:4] == b"RIFF"

    asyncio.run(tell())
