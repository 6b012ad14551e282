"""kill -9 of the fax child and of the server around each page boundary, a full disk: what is left.

The calls take real time, so all of them run side by side first; each case's test then reads what came
of its own.
"""

import os
import random
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from tests.support.fax_call import RunningFax, start
from tests.support.fax_child import child_of
from tests.support.fax_pixels import pages_of_pdf, same_pixels
from tests.support.inbox import PASSWORD, Found, check_books, read_inbox
from tests.support.server import Server
from tests.support.tiffs import text_page, write_tiff
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

AT_ONCE = 6
NUMBER = "+15551230002"
SENT = [text_page(f"{which} page", rows=120, spacing=60) for which in ("first", "last")]
CONFIRMED = "confirmed"
"""Not a step of ours: the sender has heard the confirmation."""


@dataclass(frozen=True)
class Case:
    """Who dies, and when."""

    victim: str
    """`child` or `server`."""
    step: str
    page: int

    def __str__(self) -> str:
        return f"{self.victim} {self.step}:{self.page}"

    @property
    def environment(self) -> dict[str, str]:
        """The fail point; none where the test itself does it."""
        if self.step == CONFIRMED:
            return {}
        where = f"{self.step}:{self.page}"
        return {"UM_KILL_AT": where + (":server" if self.victim == "server" else "")}

    @property
    def delivered(self) -> int:
        """How many pages must arrive: the page in hand once it has its name.

        A child whose server has died goes on until its page is written, and confirms no more.
        """
        lost = {"page.received", "page.written"} if self.victim == "child" else {"page.received"}
        return self.page - (self.step in lost)


CASES = [
    Case(victim, step, page)
    for victim in ("child", "server")
    for page, steps in (
        (1, ("page.synced", CONFIRMED)),
        (2, ("page.received", "page.written", "page.synced", CONFIRMED)),
    )
    for step in steps
]


@dataclass(frozen=True)
class Outcome:
    """What the sender thinks, and what an independent reader found."""

    confirmed: int
    found: list[Found]


def run(case: Case, folder: Path) -> Outcome:
    """Start, be called, lose the victim, recover, look."""
    server = Server(folder, environment=case.environment, goes_first=True)
    server.start()
    server.add_account("anna", password=PASSWORD, numbers=[f"{NUMBER}:fax"])
    child = child_of(server)
    assert child is not None
    sip = server.address("sip")
    file = write_tiff(folder / "sent.tif", SENT)
    machine = start((sip.host, sip.port), f"sip:{NUMBER}@{sip.host}:{sip.port}", file)
    if case.step == CONFIRMED:
        machine.wait_confirmed(case.page)
        os.kill(child if case.victim == "child" else server.pid, signal.SIGKILL)
    confirmed = (child_dies if case.victim == "child" else server_dies)(server, child, machine)
    wait_for(lambda: not list((server.data_dir / "spool").rglob("facts.json")), "an empty spool")
    found = read_inbox(server, "anna")
    check_books(server, "anna", found)
    server.stop()
    return Outcome(confirmed, found)


def child_dies(server: Server, child: int, machine: RunningFax) -> int:
    """The server hangs up, starts another child, and delivers what there is."""
    confirmed = machine.result().pages_confirmed
    wait_for(lambda: child_of(server) not in {None, child}, "another child")
    return confirmed


def server_dies(server: Server, child: int, machine: RunningFax) -> int:
    """Its child goes with it; the next server delivers what there is."""
    server.wait_killed(seconds=120)
    wait_for(lambda: not Path(f"/proc/{child}").exists(), "the child gone with its server")
    confirmed = machine.kill()
    server.restart(environment={})
    return confirmed


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Case, Future[Outcome]]]:
    """All runs, by case."""
    folder = tmp_path_factory.mktemp("faults")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            case: pool.submit(run, case, folder / str(number)) for number, case in enumerate(CASES)
        }


@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_confirmed_page_is_lost(case: Case, outcomes: dict[Case, Future[Outcome]]) -> None:
    """Every confirmed page is there, dot for dot, and at most one that was not; once, marked partial."""
    outcome = outcomes[case].result()
    assert outcome.confirmed <= case.delivered <= outcome.confirmed + 1
    if case.delivered == 0:
        assert outcome.found == []
        return
    (found,) = outcome.found
    assert found.message["X-FaxNumberOfPages"] == str(case.delivered)
    assert str(found.message["Subject"]).endswith(f", partial, {received(case.delivered)}")
    pdf = next(
        part for part in found.message.walk() if part.get_content_type() == "application/pdf"
    )
    assert same_pixels(SENT[: case.delivered], pages_of_pdf(pdf.get_content()))


DENSE = Image.frombytes("1", (1728, 40), random.Random(1).randbytes(1728 // 8 * 40))
"""18 kB of G4."""


@contextmanager
def small_disk(folder: Path, size_octets: int) -> Iterator[None]:
    """A file system of so many octets, in pages of 4096."""
    folder.mkdir(parents=True, mode=0o700)
    options = f"size={size_octets},mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize(
    ("blocks", "noticed"),
    [(6, "RefusedDocumentError"), (9, "OSError(28")],
    ids=["as it is received", "as it is made safe"],
)
def test_a_disk_that_is_full_in_the_second_page(tmp_path: Path, blocks: int, noticed: str) -> None:
    """Page 1 is delivered, page 2 is not confirmed; when the room is free again, faxes are taken.

    A spool of 24 KiB has no room for what the modem writes of page 2, one of 36 KiB has none for its copy.
    """
    server = Server(tmp_path / "server", goes_first=True)
    with small_disk(server.data_dir / "spool", blocks * 4096), server:
        server.add_account("anna", password=PASSWORD, numbers=[f"{NUMBER}:fax"])
        sip = server.address("sip")
        place = partial(start, (sip.host, sip.port), f"sip:{NUMBER}@{sip.host}:{sip.port}")
        sent = place(write_tiff(tmp_path / "sent.tif", [SENT[0], DENSE])).result()
        assert sent.pages_confirmed == 1
        assert sent.code != 0
        assert f"page=2 error={noticed}" in server.log_text()
        wait_for(lambda: read_inbox(server, "anna"), "the first page", 30)
        again = place(write_tiff(tmp_path / "again.tif", SENT[:1])).result()
        assert (again.code, again.pages_confirmed) == (0, 1)
        wait_for(lambda: len(read_inbox(server, "anna")) == 2, "the second fax", 30)
        found = read_inbox(server, "anna")
        check_books(server, "anna", found)
        subjects = [str(each.message["Subject"]) for each in found]
        assert subjects == [
            "Fax from +15550009999, partial, 1 page received",
            "Fax from +15550009999, 1 page",
        ]
        reason = found[0].message.get_body().get_content()
        assert "the page could not be stored" in reason
        assert all(same_pixels(SENT[:1], pages_of_pdf(_pdf(each))) for each in found)


def received(pages: int) -> str:
    """As a Subject says it."""
    return f"{pages} page{'s' * (pages > 1)} received"


def _pdf(found: Found) -> bytes:
    part = next(
        each for each in found.message.walk() if each.get_content_type() == "application/pdf"
    )
    return part.get_content()
