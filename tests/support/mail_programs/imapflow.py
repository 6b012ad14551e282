"""imapflow, the IMAP library of Node, in a process of its own that is talked to in lines of JSON."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests.support.mail_programs.program import NOTED, Mailbox, Shown
from tests.support.server import PROJECT

SCRIPT = Path(__file__).with_suffix(".mjs")


class ImapFlow:
    """One connection that stays; QRESYNC is on."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    def __enter__(self) -> Self:
        mailbox = self._mailbox
        packages = subprocess.run(
            [PROJECT / "bin" / "npm-packages"], stdout=subprocess.PIPE, text=True, check=True
        ).stdout.strip()
        with (mailbox.folder / "imapflow.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "node",
                    str(SCRIPT),
                    packages,
                    mailbox.host,
                    str(mailbox.port),
                    mailbox.user,
                    str(mailbox.authority),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.enabled = self._ask(mailbox.password)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def sync(self) -> Mapping[str, Shown]:
        return {
            subject: Shown(frozenset(flags) & NOTED, tuple(names))
            for subject, flags, names in self._ask(["sync"])
        }

    def wait_for(self, messages: int) -> None:
        """Until INBOX has so many, without asking the server: it is told while it idles."""
        self._ask(["waitFor", messages])

    def mark(self, subject: str, flag: str) -> None:
        assert self._ask(["mark", subject, flag]) is True

    def delete(self, subject: str) -> None:
        self._ask(["delete", subject])

    def _ask(self, wish: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(wish) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"imapflow ended: {self._mailbox.folder}/imapflow.log"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer.get("value")
