"""Python's IMAP libraries, each as a program that shows what its connection was told."""

import asyncio
import imaplib
import re
import ssl
from collections.abc import Coroutine, Mapping
from typing import Any, Self, TypeVar

import aioimaplib
import imapclient

from tests.support.mail_programs.program import Mailbox, Shown, shown

T = TypeVar("T")
TIMEOUT_SECONDS = 60


def trusting(mailbox: Mailbox) -> ssl.SSLContext:
    """Verifies the server's certificate and address."""
    return ssl.create_default_context(cafile=str(mailbox.authority))


class Imaplib:
    """The standard library's: RFC 3501 as it was in 2003."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._numbers: dict[str, bytes] = {}

    def __enter__(self) -> Self:
        mailbox = self._mailbox
        self._client = imaplib.IMAP4_SSL(
            mailbox.host,
            mailbox.port,
            ssl_context=trusting(mailbox),
            timeout=TIMEOUT_SECONDS,
        )
        self._client.login(mailbox.user, mailbox.password)
        self._client.select("INBOX")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.logout()

    def sync(self) -> Mapping[str, Shown]:
        assert self._client.noop()[0] == "OK"
        _, (found,) = self._client.uid("search", "ALL")
        if not found:
            return {}
        _, lines = self._client.uid(
            "fetch", found.replace(b" ", b",").decode(), "(FLAGS BODY.PEEK[])"
        )
        known: dict[str, Shown] = {}
        self._numbers = {}
        for line in lines:
            if isinstance(line, tuple):
                flags = [flag.decode() for flag in imaplib.ParseFlags(line[0])]
                subject, known[subject] = shown(line[1], flags)
                uid = re.search(rb"UID (\d+)", line[0])
                assert uid is not None
                self._numbers[subject] = uid[1]
        return known

    def mark(self, subject: str, flag: str) -> None:
        uid = self._numbers[subject].decode()
        assert self._client.uid("store", uid, "+FLAGS", f"({flag})")[0] == "OK"

    def unmark(self, subject: str, flag: str) -> None:
        """Take the flag away again."""
        uid = self._numbers[subject].decode()
        assert self._client.uid("store", uid, "-FLAGS", f"({flag})")[0] == "OK"

    def delete(self, subject: str) -> None:
        self.mark(subject, "\\Deleted")
        assert self._client.expunge()[0] == "OK"


class ImapClient:
    """imapclient: UIDs everywhere, CONDSTORE, and one session that is told what others do."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._known: dict[int, tuple[str, Shown]] = {}
        self._modseq = 0

    def __enter__(self) -> Self:
        mailbox = self._mailbox
        self._client = imapclient.IMAPClient(
            mailbox.host,
            mailbox.port,
            ssl_context=trusting(mailbox),
            timeout=TIMEOUT_SECONDS,
        )
        self._client.login(mailbox.user, mailbox.password)
        self._client.enable("CONDSTORE")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.logout()

    def sync(self) -> Mapping[str, Shown]:
        """Only what changed since the mod-sequence of the last time is fetched."""
        status = self._client.select_folder("INBOX")
        here = set(self._client.search("ALL"))
        self._known = {uid: known for uid, known in self._known.items() if uid in here}
        changed = self._client.fetch(
            "1:*", ["FLAGS"], modifiers=[f"CHANGEDSINCE {self._modseq}"] if self._modseq else None
        )
        for uid, flags in changed.items():
            told = [flag.decode() for flag in flags[b"FLAGS"]]
            if uid in self._known:
                subject, before = self._known[uid]
                self._known[uid] = subject, Shown(shown(b"", told)[1].flags, before.attachments)
            else:
                whole = self._client.fetch([uid], ["BODY.PEEK[]"])[uid][b"BODY[]"]
                self._known[uid] = shown(whole, told)
        self._modseq = status[b"HIGHESTMODSEQ"]
        return dict(self._known.values())

    def mark(self, subject: str, flag: str) -> None:
        self._client.add_flags([self._uid(subject)], [flag])

    def delete(self, subject: str) -> None:
        self._client.move([self._uid(subject)], "Trash")

    def _uid(self, subject: str) -> int:
        (uid,) = (uid for uid, (each, _) in self._known.items() if each == subject)
        return uid


class AioImapLib:
    """aioimaplib, on a loop of its own."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._runner = asyncio.Runner()
        self._uids: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._runner.run(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._client.logout())
        self._runner.close()

    async def _open(self) -> None:
        mailbox = self._mailbox
        self._client = aioimaplib.IMAP4_SSL(
            mailbox.host,
            mailbox.port,
            timeout=TIMEOUT_SECONDS,
            ssl_context=trusting(mailbox),
        )
        await self._client.wait_hello_from_server()
        await self._client.login(mailbox.user, mailbox.password)
        await self._client.select("INBOX")

    def sync(self) -> Mapping[str, Shown]:
        self._run(self._client.noop())
        found = self._run(self._client.uid_search("ALL"))[0].split()
        known: dict[str, Shown] = {}
        for uid in map(bytes.decode, found):
            lines = self._run(self._client.uid("fetch", uid, "(FLAGS BODY.PEEK[])"))
            told = imaplib.ParseFlags(lines[0])
            subject, looks = shown(lines[1], map(bytes.decode, told))
            known[subject], self._uids[subject] = looks, uid
        return known

    def mark(self, subject: str, flag: str) -> None:
        self._run(self._client.uid("store", self._uids[subject], "+FLAGS", f"({flag})"))

    def delete(self, subject: str) -> None:
        self.mark(subject, "\\Deleted")
        self._run(self._client.expunge())

    def _run(self, work: Coroutine[Any, Any, Any]) -> list[bytes]:
        answer = self._runner.run(work)
        assert answer.result == "OK", answer
        return [bytes(line) for line in answer.lines]
