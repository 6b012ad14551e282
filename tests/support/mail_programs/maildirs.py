"""Programs that keep a Maildir beside the mailbox: mbsync and offlineimap make both alike, getmail fetches."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.support.mail_programs.program import FLAGGED, SEEN, Mailbox, Shown, shown

SYNC_SECONDS = 120.0
LETTERS = {SEEN: "S", FLAGGED: "F"}
MBSYNC = """
IMAPAccount um
Host {host}
Port {port}
User {user}
Pass "{password}"
SSLType IMAPS
CertificateFile {authority}

IMAPStore far
Account um

MaildirStore near
Path {folder}/mail/
Inbox {folder}/mail/INBOX
SubFolders Verbatim

Channel um
Far :far:
Near :near:
Patterns INBOX Trash
Create Both
Expunge Both
SyncState *
"""
OFFLINEIMAP = """
[general]
accounts = um
metadata = {folder}/state
ui = quiet
socktimeout = 60

[Account um]
localrepository = near
remoterepository = far

[Repository near]
type = Maildir
localfolders = {folder}/mail

[Repository far]
type = IMAP
remotehost = {host}
remoteport = {port}
remoteuser = {user}
remotepass = {password}
ssl = yes
sslcacertfile = {authority}
tls_level = tls_compat
folderfilter = lambda name: name == 'INBOX'
"""
GETMAIL = """
[retriever]
type = SimpleIMAPSSLRetriever
server = {host}
port = {port}
username = {user}
password = {password}
ca_certs = {authority}
mailboxes = ("INBOX",)
use_peek = true

[destination]
type = MDA_external
path = /bin/sh
arguments = ("-c", "exec cat > {folder}/mail/INBOX/new/$(date +%s%N).$$")
unixfrom = false
allow_root_commands = true

[options]
read_all = false
delete = {delete}
received = false
delivered_to = false
message_log = {folder}/getmail.log
"""


class Maildir:
    """A folder of messages, flags in their names; changed by its user, not by the program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> dict[str, Shown]:
        """What a reader of the folder shows, by subject."""
        return dict(
            shown(path.read_bytes(), _flags(path)) for path in self._paths() if not _trashed(path)
        )

    def mark(self, subject: str, flag: str) -> None:
        path = self._path(subject)
        head, _, letters = path.name.partition(":2,")
        name = f"{head}:2,{''.join(sorted({*letters, LETTERS[flag]}))}"
        path.rename(self.folder / "cur" / name)

    def delete(self, subject: str) -> None:
        self._path(subject).unlink()

    def _paths(self) -> list[Path]:
        return [path for name in ("new", "cur") for path in (self.folder / name).glob("*")]

    def _path(self, subject: str) -> Path:
        (found,) = (path for path in self._paths() if shown(path.read_bytes(), ())[0] == subject)
        return found


def _flags(path: Path) -> set[str]:
    letters = path.name.partition(":2,")[2]
    return {flag for flag, letter in LETTERS.items() if letter in letters}


def _trashed(path: Path) -> bool:
    return "T" in path.name.partition(":2,")[2]


class Mirror:
    """A program that is run for each synchronisation."""

    rules: str
    command: tuple[str, ...]

    def __init__(self, mailbox: Mailbox) -> None:
        folder = mailbox.folder
        self._rules = folder / "rc"
        self._folder = folder
        self._maildir = Maildir(folder / "mail" / "INBOX")
        (folder / "mail").mkdir(parents=True)
        self._write_rules(mailbox)

    def _write_rules(self, mailbox: Mailbox, **more: str) -> None:
        values = {name: str(getattr(mailbox, name)) for name in mailbox.__slots__}
        self._rules.write_text(self.rules.format(**values, **more))
        self._rules.chmod(0o600)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def sync(self) -> Mapping[str, Shown]:
        done = subprocess.run(
            [part.format(rules=self._rules, folder=self._folder) for part in self.command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SYNC_SECONDS,
            env={"HOME": str(self._folder), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            check=False,
        )
        assert done.returncode == 0, done.stdout.decode()
        return self._maildir.all()

    def mark(self, subject: str, flag: str) -> None:
        self._maildir.mark(subject, flag)

    def delete(self, subject: str) -> None:
        self._maildir.delete(subject)


class Mbsync(Mirror):
    """isync's mbsync: its own IMAP, in C."""

    rules = MBSYNC
    command = ("mbsync", "-c", "{rules}", "um")


class OfflineImap(Mirror):
    """offlineimap3: Python's imaplib2, a copy of what each side was like the last time."""

    rules = OFFLINEIMAP
    command = ("offlineimap", "-c", "{rules}", "-o")


class GetMail(Mirror):
    """getmail6: takes what it has not seen, and nothing else unless it is told to delete.

    It writes no Maildir as root, so the shell does.
    """

    rules = GETMAIL
    command = ("getmail", "--getmaildir={folder}", "--rcfile={rules}", "--quiet")

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        super().__init__(mailbox)
        for part in ("new", "cur", "tmp"):
            (self._maildir.folder / part).mkdir(parents=True)

    def _write_rules(self, mailbox: Mailbox, **more: str) -> None:
        super()._write_rules(mailbox, **({"delete": "false"} | more))

    def delete_from_now_on(self) -> None:
        """What it has fetched before or fetches now goes from the server."""
        self._write_rules(self._mailbox, delete="true")
