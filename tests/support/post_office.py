"""A server with a mailbox for each mail program: voice, fax and invoice lie in every one of them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from tests.support.authority import Authority
from tests.support.imap_transcript import message
from tests.support.inbox import PASSWORD, send_lmtp
from tests.support.invoice import invoice_mail, invoice_pdf
from tests.support.mail_programs.program import Mailbox
from tests.support.server import Server
from tests.support.speech import save_wav, say
from tests.support.tiffs import FINE, text_page, tiff
from um.app.by_hand import deliver_fax, deliver_voice
from um.app.services import Services
from um.cli.run import with_services
from um.service.accounts import NewAccount

DOMAIN = "um.example.net"
CALLER, FAX_CALLER = "+15559870001", "+15550009999"


class PostOffice:
    """Owns the server and what is needed to reach it. Use as a context manager.

    Args:
        folder: for server, certificates and programs.
        users: an account for each, with the three messages of the demonstration.
    """

    def __init__(self, folder: Path, users: Sequence[str]) -> None:
        self._folder = folder
        self._users = users
        self._authority = Authority(folder)
        certificate, key = self._authority.issue("127.0.0.1", "localhost")
        self._voice = save_wav(say("Please call me back."), folder / "voice.wav")
        tls = {"certificate": str(certificate), "key": str(key)}
        self.server = Server(folder / "um", overrides={"tls": tls})

    def __enter__(self) -> Self:
        self.server.start()
        with_services(self.server.config_file, self._fill)
        pdf = invoice_pdf()
        for user in self._users:
            invoice = invoice_mail(f"{user}@{DOMAIN}", pdf, when=datetime.now(UTC))
            assert send_lmtp(self.server, [f"{user}@{DOMAIN}"], invoice) == {}
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self.server.__exit__(kind, *rest)

    async def _fill(self, services: Services) -> None:
        voice, page = self._voice.read_bytes(), text_page("A page", rows=400)
        fax = tiff([page], dpi=FINE)
        for user in self._users:
            await services.accounts.add(NewAccount(user), password=PASSWORD)
            await deliver_voice(services, user, voice, CALLER, "Anna Müller")
            await deliver_fax(services, user, fax, FAX_CALLER, "")

    def mailbox(self, user: str) -> Mailbox:
        """Where a program finds the user's, with an empty folder for what it keeps."""
        where = self.server.address("imaps")
        folder = self._folder / user
        folder.mkdir()
        return Mailbox("localhost", where.port, user, PASSWORD, self._authority.file, folder)

    def deposit(self, user: str, caller_name: str) -> None:
        """A new voicemail, by the command line."""
        said = ("--from", CALLER, "--caller-name", caller_name)
        self.server.um("deliver", "voice", user, str(self._voice), *said)

    def send(self, user: str, subject: str) -> None:
        """A new mail, by LMTP."""
        number = sum(map(ord, user + subject))
        data = message(subject, number=number)
        assert send_lmtp(self.server, [f"{user}@{DOMAIN}"], data, sender="a@example.org") == {}
