"""Recordings on a real disk: what survives the death of the process."""

import asyncio
import os

import pytest

from storage.spool import FileSpool
from tests.support.house import House
from tests.support.speech import correlates, decode_mp3, say
from tests.support.voicemail_exchange import Exchange, audio_of
from um.telephony.application import EndReason
from voicemail.app import Outcome


def house_on(folder):
    house = House()
    house.spool = FileSpool(folder)
    return house


def die(house):
    """Let go of the spool as a killed process does: nothing is finished or tidied."""
    os.close(house.spool._lock)


async def written(house, octets):
    """Wait until the recording on disk has that many octets (real threads write it)."""
    for _ in range(200):
        await asyncio.sleep(0.005)
        files = list(house.spool.folder.glob("*/audio.s16le"))
        if files and files[0].stat().st_size >= octets:
            return
    raise AssertionError("the recording does not grow")


async def opened(house):
    for _ in range(200):
        if list(house.spool.folder.glob("*/facts.json")):
            return
        await asyncio.sleep(0.005)
    raise AssertionError("the spool entry is not opened")


@pytest.mark.parametrize("seconds", [3, 7])
def test_a_process_that_dies_in_mid_recording_loses_less_than_a_second(tmp_path, seconds):
    """The next process finds the recording, delivers it once, and the disk is clean."""
    spoken = say(seconds=seconds)

    async def tell():
        house = house_on(tmp_path)
        exchange = Exchange(house)
        account = await house.add()
        _, application = await exchange.to_recording(account)
        await opened(house)
        exchange.speak(application, spoken)
        await written(house, len(spoken) - 8000)
        die(house)
        house.spool = FileSpool(tmp_path)
        exchange = Exchange(house)
        (entry,) = await house.spool.abandoned()
        assert await exchange.voicemail.recover(entry) is Outcome.DELIVERED
        ((_, content, octets),) = await exchange.inbox(account)
        assert abs(content.duration_seconds - seconds) <= 1
        assert correlates(decode_mp3(audio_of(octets)), spoken) > 0.9
        assert await exchange.reserved(account) == 0
        assert await house.spool.abandoned() == []
        await house.spool.close()
        assert not [path for path in tmp_path.rglob("*") if path.name == "audio.s16le"]

    asyncio.run(tell())


def test_a_whole_call_leaves_nothing_on_disk(tmp_path):
    """Saved, delivered, unlinked."""

    async def tell():
        house = house_on(tmp_path)
        exchange = Exchange(house)
        account = await house.add()
        call, application = await exchange.to_recording(account)
        await opened(house)
        exchange.speak(application, say(seconds=12))
        application.digit("#")
        await exchange.voicemail.drain()
        application.playback_finished()
        assert call.hung_up == 1
        application.ended(EndReason.APPLICATION)
        await exchange.voicemail.drain()
        ((_, content, _),) = await exchange.inbox(account)
        assert content.duration_seconds == 12
        await house.spool.close()
        assert list(tmp_path.rglob("*")) == []

    asyncio.run(tell())


def test_a_purge_during_the_call_takes_the_recording_with_it(tmp_path):
    """The account's spool folder is gone under our hands: no error, no message, nothing left."""

    async def tell():
        house = house_on(tmp_path)
        exchange = Exchange(house)
        account = await house.add()
        _, application = await exchange.to_recording(account)
        await opened(house)
        exchange.speak(application, say(seconds=3))
        await written(house, 8000)  # the entry is open for the call too
        assert await house.spool.delete_of(account.id) == 1
        application.ended(EndReason.CALLER)
        await exchange.voicemail.drain()
        assert exchange.voicemail.deposits.waiting == 0
        assert exchange.voicemail.failures == 0
        assert await exchange.inbox(account) == []
        await house.spool.close()

    asyncio.run(tell())
