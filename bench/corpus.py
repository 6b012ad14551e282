"""UM-shaped messages: 10 % voicemail of 305 kB, 45 % fax of 83 kB, 45 % invoices of 56 kB."""

import base64
from collections.abc import Iterator


def message(number: int, *, octets: int | None = None) -> bytes:
    """Message `number` of the corpus, CRLF; with `octets` an invoice of about that size."""
    if octets is not None:
        kind, size = "invoice", octets
    elif number % 10 == 0:
        kind, size = "voice", 305_000
    elif number % 2:
        kind, size = "fax", 83_000
    else:
        kind, size = "invoice", 56_000
    media = {"voice": "audio/mpeg", "fax": "application/pdf", "invoice": "application/pdf"}[kind]
    name = {"voice": "voice.mp3", "fax": "fax.pdf", "invoice": "invoice.pdf"}[kind]
    seed = (number * 2_654_435_761) & 0xFFFFFFFF
    binary = (seed.to_bytes(4, "big") * (size * 3 // 16 + 4))[: size * 72 // 100]
    body = base64.encodebytes(binary).replace(b"\n", b"\r\n")
    head = (
        f"From: Caller {number} <+1555{number:07d}@example.net>\r\n"
        "To: <+15551230001@um.example.net>\r\n"
        f"Subject: {kind.capitalize()} message {number} from +1 555 {number:07d}\r\n"
        f"Date: Mon, 23 Nov 2026 {number % 24:02d}:{number % 60:02d}:00 +0000\r\n"
        f"Message-ID: <{kind}-{number}@example.net>\r\n"
        f"X-UM-Kind: {kind}\r\n"
        "MIME-Version: 1.0\r\n"
        f'Content-Type: multipart/mixed; boundary="=_{number}_um"\r\n\r\n'
        f"--=_{number}_um\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        f"A {kind} message, number {number}.\r\n"
        f'--=_{number}_um\r\nContent-Type: {media}; name="{name}"\r\n'
        "Content-Transfer-Encoding: base64\r\n"
        f'Content-Disposition: attachment; filename="{name}"\r\n\r\n'
    )
    return head.encode() + body + f"--=_{number}_um--\r\n".encode()


def corpus(count: int = 1000) -> Iterator[bytes]:
    return (message(number) for number in range(count))
