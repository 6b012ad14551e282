"""Mail programs that people and scripts really use, each with a mailbox of its own on one server.

Every one of them lives through the same story: what came, what is new, what the owner does here and
on another device, and both at once. At its end program and server show the same.
"""

from collections.abc import Iterator

import pytest

from tests.support.mail_programs.curl import Curl
from tests.support.mail_programs.imapflow import ImapFlow
from tests.support.mail_programs.libraries import AioImapLib, ImapClient, Imaplib
from tests.support.mail_programs.maildirs import GetMail, Mbsync, OfflineImap
from tests.support.mail_programs.mutt import Mutt
from tests.support.mail_programs.program import FLAGGED, SEEN, Program, Shown, Told
from tests.support.mail_programs.thunderbird import Thunderbird
from tests.support.post_office import PostOffice

pytestmark = pytest.mark.slow
PROGRAMS = {
    program.__name__.lower(): program
    for program in (
        Imaplib,
        ImapClient,
        AioImapLib,
        Curl,
        Mbsync,
        OfflineImap,
        Mutt,
        ImapFlow,
        Thunderbird,
    )
}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostOffice]:
    with PostOffice(tmp_path_factory.mktemp("office"), (*PROGRAMS, "getmail")) as office:
        yield office


def subject_with(shown: dict[str, Shown], word: str) -> str:
    """The one subject that holds it."""
    (found,) = (subject for subject in shown if word in subject)
    return found


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_mail_program_keeps_up(office: PostOffice, name: str) -> None:
    """First sync, a new voicemail, flags both ways, deletions both ways, changes on both sides."""
    mailbox = office.mailbox(name)
    here: Program
    with Imaplib(mailbox) as elsewhere, PROGRAMS[name](mailbox) as here:
        shown = dict(here.sync())
        assert shown == elsewhere.sync()
        voice, fax, invoice = (
            subject_with(shown, word) for word in ("Anna Müller", "Fax", "invoice")
        )
        names = [shown[subject].attachments[0] for subject in (voice, fax, invoice)]
        assert [each.rpartition(".")[2] for each in names] == ["mp3", "pdf", "pdf"]
        assert names[2] == "invoice-2026-11-0042.pdf"

        office.deposit(name, "Second Caller")
        if isinstance(here, Told):
            here.wait_for(4)
        shown = dict(here.sync())
        second = subject_with(shown, "Second Caller")
        assert shown == elsewhere.sync()
        assert len(shown) == 4

        here.mark(invoice, SEEN)
        here.sync()
        assert elsewhere.sync()[invoice].flags == {SEEN}
        elsewhere.mark(fax, FLAGGED)
        assert here.sync()[fax].flags == {FLAGGED}
        elsewhere.unmark(fax, FLAGGED)
        assert here.sync()[fax].flags == set()

        here.delete(invoice)
        here.sync()
        assert invoice not in elsewhere.sync()
        elsewhere.delete(voice)
        assert here.sync().keys() == {fax, second}

        here.mark(second, FLAGGED)
        here.delete(fax)
        elsewhere.mark(second, SEEN)
        office.send(name, "Third")
        here.sync()
        wanted = {second: {SEEN, FLAGGED}, "Third": set()}
        assert {subject: each.flags for subject, each in here.sync().items()} == wanted
        assert {subject: each.flags for subject, each in elsewhere.sync().items()} == wanted


def test_getmail_fetches_each_message_once(office: PostOffice) -> None:
    """It sets no flag, minds none, takes only what is new, and empties INBOX when told to."""
    mailbox = office.mailbox("getmail")
    with Imaplib(mailbox) as elsewhere, GetMail(mailbox) as here:
        first = here.sync()
        assert first == elsewhere.sync()
        assert len(first) == 3
        voice = subject_with(dict(first), "Anna Müller")
        elsewhere.mark(voice, SEEN)
        here.delete(voice)
        office.deposit("getmail", "Second Caller")
        then = here.sync()
        assert voice not in then
        assert len(then) == 3
        elsewhere.sync()
        elsewhere.delete(voice)
        office.send("getmail", "Third")
        here.delete_from_now_on()
        assert here.sync().keys() == {*then, "Third"}
        assert elsewhere.sync() == {}
