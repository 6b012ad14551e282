"""Faxes sent by Asterisk 22: an independent sender's pages arrive as they were sent."""

from collections.abc import Iterator, Sequence

import pytest
from PIL import Image

from tests.support.asterisk import Asterisk
from tests.support.asterisk_callers import CALLERS, call, check, message_by
from tests.support.asterisk_fax import FAX_MACHINE, STATION, AsteriskSent, send_fax
from tests.support.fax_pixels import pages_of_pdf, same_pixels
from tests.support.inbox import PASSWORD, check_books, read_inbox
from tests.support.mail_program import Mail
from tests.support.server import Server
from tests.support.tiffs import text_page

pytestmark = pytest.mark.slow

FAX_NUMBER, BOTH_NUMBER = "+15551230002", "+15551230004"
PAGE = text_page("by Asterisk", rows=400, spacing=100)
FIVE = [text_page(f"by Asterisk, {number}", rows=400, spacing=100) for number in range(1, 6)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("um"), goes_first=True) as running:
        numbers = [f"{FAX_NUMBER}:fax", f"{BOTH_NUMBER}:both"]
        running.add_account("anna", password=PASSWORD, numbers=numbers)
        yield running


@pytest.fixture(scope="module")
def asterisk(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asterisk]:
    folder = tmp_path_factory.mktemp("asterisk")
    with Asterisk(
        folder, um=server.address("sip"), dialplan=FAX_MACHINE + CALLERS, goes_first=True
    ) as running:
        yield running


def fax(
    server: Server,
    asterisk: Asterisk,
    number: str,
    *,
    pages: Sequence[Image.Image] = (PAGE,),
    ecm: bool = True,
) -> tuple[AsteriskSent, Mail]:
    """Send the pages; what the sender thinks of it, and the message they became."""
    sent: list[AsteriskSent] = []
    mail = message_by(server, lambda: sent.append(send_fax(asterisk, number, pages, ecm=ecm)))
    return sent[0], mail


@pytest.mark.parametrize("ecm", [True, False], ids=["ecm", "no ecm"])
@pytest.mark.parametrize("pages", [[PAGE], FIVE], ids=["1 page", "5 pages"])
def test_a_fax_over_g711_to_a_fax_number(
    server: Server, asterisk: Asterisk, pages: list[Image.Image], ecm: bool
) -> None:
    """Pages over G.711: the sender is content, and the PDF has them dot for dot.

    Without ECM too: no bit is lost on loopback.
    """
    sent, mail = fax(server, asterisk, FAX_NUMBER, pages=pages, ecm=ecm)
    assert (sent.status, sent.pages, sent.bit_rate) == ("SUCCESS", len(pages), 14400)
    assert sent.remote_station == FAX_NUMBER
    count = "1 page" if len(pages) == 1 else f"{len(pages)} pages"
    assert str(mail.message["Subject"]) == f"Fax from {STATION}, {count}"
    text = next(part for part in mail.message.walk() if part.get_content_type() == "text/plain")
    said = text.get_content()
    assert f"Error correction: {'yes' if ecm else 'no'}" in said
    assert "Result: complete" in said
    assert same_pixels(pages, pages_of_pdf(mail.attachment("application/pdf")))


def test_a_fax_to_a_number_for_voice_and_fax(server: Server, asterisk: Asterisk) -> None:
    """The greeting answers, Asterisk's calling tone is heard, and it is a fax and nothing else.

    What had been begun for a voice message is gone: its spool entry, its room, its message.
    """
    before = len(read_inbox(server, "anna"))
    sent, mail = fax(server, asterisk, BOTH_NUMBER)
    assert (sent.status, sent.pages) == ("SUCCESS", 1)
    assert sent.remote_station == BOTH_NUMBER
    assert mail.message["X-UM-Kind"] == "fax"
    assert same_pixels([PAGE], pages_of_pdf(mail.attachment("application/pdf")))
    found = read_inbox(server, "anna")
    assert len(found) == before + 1
    assert list(server.data_dir.glob("spool/*/*/facts.json")) == []
    check_books(server, "anna", found)


def test_a_voice_message_to_the_same_number(server: Server, asterisk: Asterisk) -> None:
    """A person who calls a number for voice and fax leaves a message like on any other."""
    mail = message_by(server, lambda: call(asterisk, f"PJSIP/{BOTH_NUMBER}@um", "leave", "both"))
    check(mail, number=BOTH_NUMBER, cause="direct")
