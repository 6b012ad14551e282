"""What an independent reader finds in a mailbox: imaplib over TLS, and the checks of the house."""

import imaplib
import select
import smtplib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from tests.support.server import Server

PASSWORD = "correct horse battery"


@dataclass(frozen=True, slots=True)
class Found:
    """One message of INBOX as the server lists and gives it."""

    uid: int
    size_octets: int
    raw: bytes
    message: EmailMessage


def connect(server: Server, user: str, password: str = PASSWORD) -> imaplib.IMAP4_SSL:
    """A session over implicit TLS, logged in."""
    context = ssl.create_default_context(cafile=str(server.certificate))
    context.check_hostname = False
    where = server.address("imaps")
    client = imaplib.IMAP4_SSL(where.host, where.port, ssl_context=context, timeout=60)
    client.login(user, password)
    return client


def read_inbox(server: Server, user: str, password: str = PASSWORD) -> list[Found]:
    """Every message of INBOX, whole, by UID."""
    client = connect(server, user, password)
    try:
        client.select("INBOX", readonly=True)
        _, data = client.uid("fetch", "1:*", "(UID RFC822.SIZE BODY.PEEK[])")
        return [_found(item) for item in data if isinstance(item, tuple)]
    finally:
        client.logout()


def wait_for_mail(
    server: Server,
    user: str,
    *,
    wanted: Callable[[Found], bool] = lambda _: True,
    seconds: float = 30.0,
) -> list[Found]:
    """The `wanted` of INBOX, as soon as there is one. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = [each for each in read_inbox(server, user) if wanted(each)]
        if found:
            return found
        select.select([], [], [], 0.1)
    raise TimeoutError(f"no such mail for {user} in {seconds} s\n{server.tail()}")


def _found(item: tuple[bytes, bytes]) -> Found:
    words = item[0].replace(b"(", b" ").split()
    message = message_from_bytes(item[1], policy=default)
    assert isinstance(message, EmailMessage)
    uid = int(words[words.index(b"UID") + 1])
    size = int(words[words.index(b"RFC822.SIZE") + 1])
    return Found(uid, size, item[1], message)


def check_books(server: Server, user: str, found: list[Found]) -> None:
    """The laws that hold after any fault: sizes, quota, UIDs, and a clean file-system check."""
    for message in found:
        assert message.size_octets == len(message.raw)
    uids = [message.uid for message in found]
    assert uids == sorted(set(uids))
    shown = server.um_json("account", "show", user)
    assert shown["used_octets"] == sum(message.size_octets for message in found)


def send_lmtp(
    server: Server, recipients: list[str], data: bytes, *, sender: str = "billing@example.net"
) -> dict[str, tuple[int, bytes]]:
    """Hand one mail over; returns the recipients that were refused, with the reply."""
    where = server.address("lmtp")
    with smtplib.LMTP(where.host, where.port, timeout=60) as client:
        return client.sendmail(sender, recipients, data)
