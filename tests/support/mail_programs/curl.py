"""curl: a connection for each request, the commands written out by its user."""

import re
import subprocess
from collections.abc import Mapping
from typing import Self

from tests.support.mail_programs.program import SEEN, Mailbox, Shown, shown

REQUEST_SECONDS = 60.0


class Curl:
    r"""Each message is read once. That sets \Seen, for curl has no PEEK, so it is taken back."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._uids: dict[str, str] = {}
        self._read: dict[str, bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def sync(self) -> Mapping[str, Shown]:
        flags = re.findall(
            rb"UID (\d+) FLAGS \(([^)]*)\)", self._ask("INBOX", "UID FETCH 1:* (UID FLAGS)")
        )
        known: dict[str, Shown] = {}
        for uid, told in ((uid.decode(), told.decode().split()) for uid, told in flags):
            if uid not in self._read:
                self._read[uid] = self._ask(f"INBOX/;UID={uid}")
                if SEEN not in told:
                    self._ask("INBOX", f"UID STORE {uid} -FLAGS.SILENT ({SEEN})")
            subject, known[subject] = shown(self._read[uid], told)
            self._uids[subject] = uid
        return known

    def mark(self, subject: str, flag: str) -> None:
        self._ask("INBOX", f"UID STORE {self._uids[subject]} +FLAGS ({flag})")

    def delete(self, subject: str) -> None:
        self._ask("INBOX", f"UID MOVE {self._uids[subject]} Trash")

    def _ask(self, path: str, command: str | None = None) -> bytes:
        mailbox = self._mailbox
        done = subprocess.run(
            [
                "curl",
                *("--silent", "--show-error", "--max-time", "60"),
                *(
                    "--cacert",
                    str(mailbox.authority),
                    "--user",
                    f"{mailbox.user}:{mailbox.password}",
                ),
                *(("--request", command) if command else ()),
                f"imaps://{mailbox.host}:{mailbox.port}/{path}",
            ],
            capture_output=True,
            timeout=REQUEST_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout
