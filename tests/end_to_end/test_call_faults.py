"""kill -9 at each named step of a voice call and of a fax call, and what is there after the restart.

The calls take real time, so all of them run side by side first; each step's test then reads what
came of its own.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.fax_call import start
from tests.support.inbox import PASSWORD, Found, check_books, read_inbox, send_lmtp
from tests.support.server import Server
from tests.support.speech import correlates, decode_mp3, duration, say
from tests.support.telephone import HangUp, Press, Say, Silence, Telephone, WaitForBeep
from tests.support.tiffs import text_page, tiff
from um.core.steps import DELIVERY_STEPS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
AT_ONCE = 5
VOICE, FAX = "+15551230001", "+15551230002"
WORDS_SECONDS = 6.5
SYNCED_SECONDS = 4.0
"""A recording is synced every 5 s: so much of it, less a little, is safe at the first sync."""
MAIL = b"From: a@example.net\r\nSubject: %s\r\n\r\nbody\r\n"


@dataclass(frozen=True)
class Outcome:
    """What an independent reader found after the restart."""

    calls: list[Found]
    found: list[Found]
    spooled: list[Path]


def run_step(step: str, folder: Path, place_call: Callable[[Server], None]) -> Outcome:
    """Start, call, be killed at `step`, start again, look."""
    server = Server(folder, environment={"UM_KILL_AT": step})
    server.start()
    numbers = (f"{VOICE}:voice", f"{FAX}:fax")
    server.add_account("anna", password=PASSWORD, numbers=numbers)
    place_call(server)
    server.wait_killed()
    server.restart(environment={})
    assert send_lmtp(server, ["anna@um.example.net"], MAIL % b"after") == {}
    found = read_inbox(server, "anna")
    check_books(server, "anna", found)
    assert found[-1].message["Subject"] == "after"
    server.stop()
    server.um("fsck")
    spooled = sorted((server.data_dir / "spool").rglob("facts.json"))
    return Outcome(found[:-1], found, spooled)


def voice_call(server: Server) -> None:
    """Skip the greeting, speak, hang up; the far end may be dead by then."""
    sip = server.address("sip")
    steps = [Silence(1.5), Press("#"), WaitForBeep(15), Say(spoken()), HangUp()]
    with suppress(TimeoutError, OSError):
        Telephone().call((sip.host, sip.port), f"sip:{VOICE}@{sip.host}:{sip.port}", steps)


def spoken() -> bytes:
    return say(seconds=WORDS_SECONDS)


def fax_call(server: Server) -> None:
    """One sparse page from a machine in a process of its own, which is ended with the server."""
    sip = server.address("sip")
    file = server.folder / "sent.tif"
    file.write_bytes(tiff([text_page("Only page", rows=300)]))
    machine = start((sip.host, sip.port), f"sip:{FAX}@{sip.host}:{sip.port}", file)
    try:
        server.wait_killed(seconds=120)
    finally:
        machine.kill()


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Outcome]]]:
    """All runs, by `kind step`."""
    spoken()
    folder = tmp_path_factory.mktemp("faults")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            f"{kind} {step}": pool.submit(run_step, step, folder / f"{kind}-{step}", call)
            for kind, call in (("voice", voice_call), ("fax", fax_call))
            for step in DELIVERY_STEPS
        }


@pytest.mark.parametrize("step", DELIVERY_STEPS)
def test_kill_at_each_step_of_a_voice_call(step: str, outcomes: dict[str, Future[Outcome]]) -> None:
    """What was said and synced is there once, whatever happened after; the spool is empty."""
    outcome = outcomes[f"voice {step}"].result()
    assert outcome.spooled == []
    if step == "spool.opened":  # killed before a word was said
        assert outcome.calls == []
        return
    assert len(outcome.calls) == 1
    message = outcome.calls[0].message
    assert message["X-UM-Kind"] == "voice"
    audio = next(part for part in message.walk() if part.get_content_type() == "audio/mpeg")
    heard = decode_mp3(audio.get_payload(decode=True))
    least = SYNCED_SECONDS if step == "spool.synced" else WORDS_SECONDS - 0.75
    assert least <= duration(heard) <= WORDS_SECONDS + 0.25
    assert correlates(spoken()[: len(heard)], heard) > 0.8


@pytest.mark.parametrize("step", DELIVERY_STEPS)
def test_kill_at_each_step_of_a_fax_call(step: str, outcomes: dict[str, Future[Outcome]]) -> None:
    """A page that was safe is there once; before that there is at most one, unconfirmed."""
    outcome = outcomes[f"fax {step}"].result()
    assert outcome.spooled == []
    if step == "spool.opened":
        assert outcome.calls == []
        return
    assert len(outcome.calls) == 1
    assert outcome.calls[0].message["X-FaxNumberOfPages"] == "1"
