"""Real media: codecs, keys by every way, hold, a new address, and bad lines through a relay."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from array import array
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.inbox import PASSWORD
from tests.support.mail_program import MailProgram
from tests.support.relay import Profile, RtpRelay
from tests.support.server import Server
from tests.support.speech import correlates, decode_mp3, duration, say
from tests.support.telephone import (
    HangUp,
    Hold,
    Inform,
    Move,
    Noise,
    Press,
    Say,
    Silence,
    Telephone,
    WaitForBeep,
    WaitForHangUp,
)
from tests.support.telephone_rtp import key_tones, tone, tone_of
from voicemail.level import sound_of

pytestmark = pytest.mark.slow
PROJECT = Path(__file__).resolve().parents[2]
NUMBER = "+15551230001"


class Recorder:
    """The process `tests.support.telephony_server`: what it is told, it tells us."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "server.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.support.telephony_server", str(folder)),
                    *("rtp_ports=[25000, 25998]", "send_silence=true"),
                ],
                cwd=PROJECT,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "PYTHONPATH": str(PROJECT)},
            )
        host, _, port = self.told()["listening"][0].removeprefix("udp:").rpartition(":")
        self.address = (host, int(port))

    def told(self) -> dict:
        line = self.process.stdout.readline()
        assert line, "the server has ended"
        return json.loads(line)

    def call(self, telephone: Telephone, *steps: object, name: str = "record"):
        report = telephone.call(
            self.address, f"sip:{name}@{self.address[0]}:{self.address[1]}", steps
        )
        assert report.status == 200
        return report

    def calls(self, *calls: tuple) -> list[dict]:
        """Place calls side by side; what was told of each, in their order."""
        with ThreadPoolExecutor(len(calls)) as pool:
            placed = [pool.submit(self.call, *each) for each in calls]
            reports = [each.result() for each in placed]
        facts = {each["call_id"]: each for each in (self.told() for _ in calls)}
        return [{**facts[each.call_id], "report": each} for each in reports]

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.communicate(timeout=20)
        finally:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    running = Recorder(tmp_path_factory.mktemp("media"))
    yield running
    running.close()


def recorded(told: dict) -> bytes:
    return Path(told["file"]).read_bytes()


def seconds(told: dict) -> float:
    return told["samples"] / 8000


def tonal_seconds(samples: bytes, hertz: float) -> float:
    tones = [tone_of(samples[at : at + 320]) for at in range(0, len(samples), 320)]
    return 0.02 * sum(found is not None and abs(found - hertz) < 10 for found in tones)


def test_keys_are_told_once_by_every_way(recorder: Recorder) -> None:
    """Events, INFO of both kinds, tones where nothing better was agreed.

    Events and INFO together, as some telephones send them, count once.
    """
    deaf = {"events": False}
    beep = WaitForBeep(5)
    keys = "15*0A#"
    told = recorder.calls(
        (Telephone(), beep, Press(keys), WaitForHangUp(5)),
        (Telephone(**deaf), beep, Inform(keys), WaitForHangUp(5)),
        (Telephone(**deaf), beep, Inform(keys, "application/dtmf"), WaitForHangUp(5)),
        (Telephone(**deaf), beep, Say(key_tones(keys)), WaitForHangUp(5)),
        (Telephone(payload_type=8, **deaf), beep, Say(key_tones(keys)), WaitForHangUp(5)),
        (Telephone(), beep, Inform("7"), Press("7"), Press("8"), Inform("8"), HangUp()),
        (Telephone(), beep, Say(key_tones("123")), Silence(0.5), HangUp()),
    )
    assert [each["digits"] for each in told] == [keys] * 5 + ["78", ""]


def test_packets_of_each_length_and_codec(recorder: Recorder) -> None:
    """10, 20 and 30 ms, both laws and G.729: heard both ways in true length."""
    words = say(seconds=3.0)
    phones = [
        *(Telephone(ptime_ms=each) for each in (10, 30)),
        Telephone(payload_type=8, ptime_ms=30),
        *(Telephone(payload_type=18, ptime_ms=each) for each in (10, 20, 30)),
    ]
    told = recorder.calls(
        *((phone, WaitForBeep(5), Say(words), Silence(0.2), HangUp()) for phone in phones)
    )
    for each in told:
        report = each["report"]
        assert correlates(words, recorded(each)[-len(words) - 6400 :]) > 0.7
        assert seconds(each) == pytest.approx(report.seconds, abs=0.25)
        assert duration(report.heard) == pytest.approx(report.seconds, abs=0.25)
        assert report.heard_gaps == 0
        assert 0.3 < tonal_seconds(report.heard, 1000) < 0.5


def test_hold_and_a_new_address(recorder: Recorder) -> None:
    """Held, nothing comes; taken back and moved, both sides go on, in true length."""
    sound = Say(tone(440, 1.0))
    told, moved = recorder.calls(
        (
            Telephone(),
            *(WaitForBeep(5), sound, Hold("inactive"), Silence(1.5), Hold("sendrecv"), sound),
            HangUp(),
        ),
        (Telephone(), WaitForBeep(5), sound, Move(), sound, HangUp()),
    )
    assert told["report"].heard_packets * 0.02 < told["report"].seconds - 1.2
    for each in (told, moved):
        assert tonal_seconds(recorded(each), 440) == pytest.approx(2.0, abs=0.12)
        assert seconds(each) == pytest.approx(each["report"].seconds, abs=0.3)
    heard = moved["report"].heard_packets * 0.02
    assert heard == pytest.approx(moved["report"].seconds, abs=0.4)


def test_comfort_noise_keeps_the_length(recorder: Recorder) -> None:
    """A telephone that stops sending while its owner is silent (RFC 3389)."""
    sound = Say(tone(440, 1.0))
    (told,) = recorder.calls((Telephone(), WaitForBeep(5), sound, Noise(3.0), sound, HangUp()))
    assert seconds(told) == pytest.approx(told["report"].seconds, abs=0.25)
    assert tonal_seconds(recorded(told), 440) == pytest.approx(2.0, abs=0.08)


def test_the_log_says_how_the_media_went(recorder: Recorder) -> None:
    """Loss, jitter and duplicates of each call."""
    profile = Profile(loss=0.1, duplicate=0.05, seed=5)
    with RtpRelay(profile) as relay:
        recorder.calls((Telephone(relay=relay), WaitForBeep(5), Silence(3.0), HangUp()))
        lost = relay.network.lost
    line = [each for each in recorder.log.read_text().splitlines() if "telephony.media" in each][-1]
    facts = dict(word.split("=", 1) for word in line.split() if "=" in word)
    assert int(facts["lost"]) == pytest.approx(lost, abs=2)
    assert int(facts["discarded"]) > 0


def spoken_seconds(samples: bytes) -> float:
    """From the first sound to the last."""
    return sound_of(array("h", samples)).seconds


LINES = {
    "perfect": Profile(),
    "loss 5": Profile(loss=0.05, seed=11),
    "loss 10": Profile(loss=0.10, burst=2, seed=12),
    "disorder, duplicates": Profile(reorder=0.2, reorder_by=5, duplicate=0.02, seed=13),
    "jitter 200": Profile(jitter_seconds=0.2, seed=14),
    "a stall and a burst": Profile(stall_at=8.0, stall_seconds=1.6, seed=15),
    "all, a new SSRC": Profile(
        loss=0.05,
        reorder=0.1,
        jitter_seconds=0.15,
        duplicate=0.02,
        new_ssrc_after=500,
        seed=16,
    ),
}


def test_a_voicemail_over_a_bad_line(tmp_path: Path) -> None:
    """`#` skips the greeting, ten seconds are said, `#` ends.

    From the first word to the last, each message is within 2 % of what was said, its words still
    there. How long the telephone took to hear the beep is not judged.
    """
    words = say(seconds=10.0)

    def leave(server: Server, name: str, caller: str) -> None:
        sip = server.address("sip")
        steps = [Silence(1), Press("#"), WaitForBeep(20), Say(words), Press("#"), WaitForHangUp(30)]
        with RtpRelay(LINES[name]) as relay:
            report = Telephone(relay=relay).call(
                (sip.host, sip.port), f"sip:{NUMBER}@{sip.host}:{sip.port}", steps, caller=caller
            )
        assert report.hung_up_by_server, name

    async def read(server: Server) -> dict[str, bytes]:
        imaps = server.address("imaps")
        async with MailProgram(imaps.host, imaps.port, "anna", PASSWORD) as program:
            mails = await program.read_all()
        return {
            each.message["X-CallingTelephoneNumber"]: decode_mp3(each.attachment("audio/mpeg"))
            for each in mails
        }

    callers = {name: f"+1555987{number:04}" for number, name in enumerate(LINES)}
    with Server(tmp_path) as server:
        server.add_account("anna", password=PASSWORD, numbers=[f"{NUMBER}:voice"])
        with ThreadPoolExecutor(len(LINES)) as pool:
            for placed in [pool.submit(leave, server, *each) for each in callers.items()]:
                placed.result()
        messages = asyncio.run(read(server))
    said = spoken_seconds(words)
    for name, caller in callers.items():
        heard = messages[caller]
        assert spoken_seconds(heard) == pytest.approx(said, rel=0.02), name
        assert correlates(words, heard, max_shift_seconds=2) > (
            0.9 if name == "perfect" else 0.5
        ), name
