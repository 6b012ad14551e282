"""Dovecot from Debian on loopback, in a folder of its own; any user may come, with the password `bench`.

Needs the packages dovecot-imapd and dovecot-lmtpd, and root (Dovecot starts its processes as its
own users). The mail is synced before it is acknowledged (`mail_fsync = always`), as ours is.
"""

import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

CONFIG = """
protocols = imap lmtp
base_dir = {root}/run
state_dir = {root}/state
log_path = {root}/dovecot.log
listen = 127.0.0.1
{ssl}
disable_plaintext_auth = no
mail_location = mdbox:{root}/mail/%u
mail_fsync = {fsync}
default_process_limit = 2000
default_client_limit = 4000
mail_uid = mail
mail_gid = mail
first_valid_uid = 1
lmtp_save_to_detail_mailbox = no
passdb {{
  driver = static
  args = password=bench
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={root}/home
}}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service lmtp {{
  process_min_avail = 2
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
protocol imap {{
  mail_max_userip_connections = 1000
}}
protocol lmtp {{
  postmaster_address = postmaster@example.net
  auth_username_format = %n
}}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Dovecot:
    """A running Dovecot; a context manager. `imap`, `imaps` (with a certificate)
    and `lmtp` are its ports."""

    def __init__(
        self,
        root: Path,
        *,
        fsync: str = "always",
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> None:
        if not shutil.which("dovecot"):
            raise SystemExit("the peer is missing: apt-get install dovecot-imapd dovecot-lmtpd")
        self.root, self.fsync = root.resolve(), fsync
        self.imap, self.lmtp = free_port(), free_port()
        self.imaps = free_port() if certificate is not None else 0
        self.ssl = "ssl = no"
        if certificate is not None:
            self.ssl = f"ssl = yes\nssl_cert = <{certificate}\nssl_key = <{key}"

    def __enter__(self) -> Self:
        self.root.mkdir(parents=True, exist_ok=True)
        for part in ("mail", "home"):
            (self.root / part).mkdir(exist_ok=True)
            shutil.chown(self.root / part, "mail", "mail")
        self.config = self.root / "dovecot.conf"
        self.config.write_text(
            CONFIG.format(
                root=self.root,
                imap=self.imap,
                imaps=self.imaps,
                lmtp=self.lmtp,
                fsync=self.fsync,
                ssl=self.ssl,
            )
        )
        self.process = subprocess.Popen(["dovecot", "-F", "-c", str(self.config)])
        deadline = time.monotonic() + 15
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.imap), timeout=2) as probe:
                    probe.recv(100)
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(
                        f"Dovecot did not start; see {self.root}/dovecot.log"
                    ) from None
                time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)

    def version(self) -> str:
        return subprocess.run(
            ["dovecot", "--version"], capture_output=True, text=True, check=True
        ).stdout.split()[0]
