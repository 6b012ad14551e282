"""Dovecot's imap process, without its master and without privileges: it serves one connection.

Nothing listens: the connection is a pair of sockets, and the user is logged in from the start
(PREAUTH). As root it runs as `nobody`, for Dovecot serves no mail as root.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from tests.support.imap_values import Values

IMAP = Path("/usr/lib/dovecot/imap")
RULES = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
ssl = no
protocols = imap
mail_location = sdbox:{folder}/mail
mail_fsync = never
first_valid_uid = 1
"""


class Dovecot:
    """One empty mailbox. A context manager that gives a connection to it."""

    def __init__(self) -> None:
        if not IMAP.exists():
            raise FileNotFoundError(f"{IMAP} is missing: bin/setup test installs dovecot-imapd")

    def __enter__(self) -> Values:
        self._folder = Path(tempfile.mkdtemp(prefix="um-dovecot-"))
        (self._folder / "mail").mkdir()
        rules = self._folder / "dovecot.conf"
        rules.write_text(RULES.format(folder=self._folder))
        drop: list[str] = []
        if os.geteuid() == 0:
            drop = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
            for path in (self._folder, self._folder / "mail", rules):
                shutil.chown(path, "nobody", "nogroup")
        ours, theirs = socket.socketpair()
        ours.settimeout(60)
        with theirs:
            self._process = subprocess.Popen(
                [*drop, str(IMAP), "-c", str(rules)],
                stdin=theirs,
                stdout=theirs,
                env={"HOME": str(self._folder), "USER": "golden", "PATH": "/usr/bin:/bin"},
            )
        self._values = Values(ours)
        return self._values

    def __exit__(self, *_: object) -> None:
        self._values.__exit__()
        self._process.terminate()
        self._process.wait(20)
        shutil.rmtree(self._folder)
