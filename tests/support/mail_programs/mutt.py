"""mutt on a terminal of its own: its keys are pressed by `push`, what it shows is what it copies out."""

import os
import pty
import select
import shutil
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Self

from tests.support.mail_programs.maildirs import Maildir
from tests.support.mail_programs.program import FLAGGED, SEEN, Mailbox, Shown

RUN_SECONDS = 60.0
RULES = """
set imap_user = "{user}"
set imap_pass = "{password}"
set folder = "imaps://{host}:{port}/"
set spoolfile = "imaps://{host}:{port}/INBOX"
set certificate_file = "{authority}"
set ssl_ca_certificates_file = "{authority}"
set ssl_verify_host = yes
set header_cache = "{folder}/headers"
set message_cachedir = "{folder}/messages"
set imap_condstore = yes
set imap_qresync = yes
set mbox_type = Maildir
set copy = no
set confirmappend = no
set confirmcreate = no
set delete = yes
set quit = yes
set move = no
set mark_old = no
set auto_tag = no
set wait_key = no
set mail_check = 0
set sleep_time = 0
"""
KEYS = {SEEN: "<clear-flag>N", FLAGGED: "<set-flag>!"}


class Mutt:
    """Runs for each synchronisation, does what was asked meanwhile, and quits."""

    def __init__(self, mailbox: Mailbox) -> None:
        if shutil.which("mutt") is None:
            raise FileNotFoundError("mutt is missing: bin/setup test installs it")
        self._mailbox = mailbox
        self._keys = ""
        folder = mailbox.folder
        (folder / "messages").mkdir(parents=True)
        self._rules = folder / "muttrc"
        self._rules.write_text(
            RULES.format(
                host=mailbox.host,
                port=mailbox.port,
                user=mailbox.user,
                password=mailbox.password,
                authority=mailbox.authority,
                folder=folder,
            )
        )
        self._rules.chmod(0o600)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def mark(self, subject: str, flag: str) -> None:
        self._press(subject, KEYS[flag])

    def delete(self, subject: str) -> None:
        self._press(subject, "<delete-message>")

    def sync(self) -> Mapping[str, Shown]:
        """One run for what was pressed, one that copies everything out."""
        if self._keys:
            self._run(self._keys + "<sync-mailbox><quit>")
            self._keys = ""
        copied = self._mailbox.folder / "copied"
        shutil.rmtree(copied, ignore_errors=True)
        self._run(f"<tag-pattern>~A<enter><tag-prefix><copy-message>{copied}<enter><quit>")
        return Maildir(copied).all() if copied.exists() else {}

    def _press(self, subject: str, keys: str) -> None:
        words = "".join(char if char.isalnum() else "." for char in subject)
        self._keys += f"<search>~s '{words}'<enter>{keys}"

    def _run(self, keys: str) -> None:
        """A run on a terminal; raises AssertionError with the last screen if it does not quit."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            ["mutt", "-n", "-F", str(self._rules), "-e", f'push "{keys}"'],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={
                "HOME": str(self._mailbox.folder),
                "PATH": "/usr/bin:/bin",
                "LANG": "C.UTF-8",
                "TERM": "xterm",
                "LINES": "50",
                "COLUMNS": "120",
            },
        )
        os.close(theirs)
        screen, deadline = b"", time.monotonic() + RUN_SECONDS
        try:
            while process.poll() is None and time.monotonic() < deadline:
                if select.select([ours], [], [], 0.1)[0]:
                    with suppress(OSError):
                        screen = (screen + os.read(ours, 65_536))[-4000:]
        finally:
            os.close(ours)
            if process.poll() is None:
                process.kill()
                process.wait()
                raise AssertionError(f"mutt hangs: {screen!r}")
        assert process.returncode == 0, screen
