"""Mail in over real sockets: TLS, injection at STARTTLS, many clients at once, retries, stopping."""

import asyncio
import smtplib
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.house import DOMAIN, House
from tests.support.mail_wire import BILLING, letter, mail_in

ALICE = f"alice@{DOMAIN}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, DOMAIN)])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(built.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


def with_server(
    talk: Callable[[int, House], Any],
    *,
    lmtp: bool,
    tls: tuple[Path, Path] | None = None,
    **settings: object,
) -> tuple[House, Any]:
    """Serve on loopback while `talk(port, house)` runs in a thread; the house and its result."""

    async def run() -> tuple[House, Any]:
        house = House()
        await house.add()
        await house.add("bob", None)
        context = None
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
        server = mail_in(house, tls_context=context, **settings)
        listener = await server.listen(asyncio.get_running_loop(), "127.0.0.1", 0, lmtp=lmtp)
        port = listener.sockets[0].getsockname()[1]
        try:
            return house, await asyncio.to_thread(talk, port, house)
        finally:
            await server.stop(grace_seconds=5)

    return asyncio.run(run())


def replies(wire: socket.socket, count: int) -> list[bytes]:
    """The next replies, several lines of one joined."""
    found: list[bytes] = []
    with wire.makefile("rb") as lines:
        for _ in range(count):
            reply = line = lines.readline()
            while line[3:4] == b"-":
                line = lines.readline()
                reply += line
            found.append(reply)
    return found


def test_a_transaction_with_mixed_outcomes() -> None:
    """Pipelined: the unknown recipient is refused, each of the others hears its own 250."""

    def talk(port: int, _house: House) -> list[bytes]:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
            paths = (ALICE, f"nobody@{DOMAIN}", f"bob@{DOMAIN}")
            commands = "".join(f"RCPT TO:<{path}>\r\n" for path in paths)
            wire.sendall(f"LHLO x\r\nMAIL FROM:<x@y.org>\r\n{commands}DATA\r\n".encode())
            heard = replies(wire, 7)
            wire.sendall(letter() + b".\r\nQUIT\r\n")
            return [reply[:9] for reply in heard + replies(wire, 3)]

    house, heard = with_server(talk, lmtp=True)
    assert heard[2:] == [
        *(b"250 2.1.0", b"250 2.1.5", b"550 5.1.1", b"250 2.1.5", b"354 End d"),
        *(b"250 2.0.0", b"250 2.0.0", b"221 2.0.0"),
    ]
    assert len(house.stored) == 2


def test_starttls_then_a_message(certificate: tuple[Path, Path]) -> None:
    """STARTTLS is offered once, the handshake verifies, and the message says it came by ESMTPS."""

    def talk(port: int, _house: House) -> tuple[bool, bool]:
        context = ssl.create_default_context(cafile=str(certificate[0]))
        context.check_hostname = False
        message = EmailMessage()
        message["Subject"] = "By TLS"
        message.set_content("x" * 5000)
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
            client.ehlo()
            before = client.has_extn("starttls")
            client.starttls(context=context)
            client.ehlo()
            client.send_message(message, BILLING, [ALICE])
            return before, client.has_extn("starttls") or client.has_extn("auth")

    house, offered = with_server(talk, lmtp=False, tls=certificate)
    assert offered == (True, False)
    (data,) = [data for data, _ in house.blobs.blobs.values()]
    assert b" with ESMTPS id " in data


def test_nothing_is_injected_before_tls(certificate: tuple[Path, Path]) -> None:
    """What was pipelined after STARTTLS in clear is not run inside TLS (CVE-2011-0411)."""

    def talk(port: int, _house: House) -> list[bytes]:
        context = ssl.create_default_context(cafile=str(certificate[0]))
        context.check_hostname = False
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            plain.sendall(b"EHLO x\r\n")
            replies(plain, 2)
            plain.sendall(b"STARTTLS\r\nMAIL FROM:<injected@example.org>\r\nEHLO injected\r\n")
            assert replies(plain, 1) == [b"220 Ready to start TLS\r\n"]
            with context.wrap_socket(plain) as secure:
                secure.sendall(b"NOOP\r\n" + f"RCPT TO:<{ALICE}>\r\n".encode())
                return replies(secure, 2)

    _, heard = with_server(talk, lmtp=False, tls=certificate)
    assert heard == [b"250 2.0.0 OK\r\n", b"503 5.5.1 send HELO first\r\n"]


def test_many_clients_at_once() -> None:
    """20 clients with 10 mails each: each of them is there once, whole, and every 250 was true."""

    async def client(port: int, number: int) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        stored = 0
        writer.write(b"LHLO x\r\n")
        for mail in range(10):
            message = letter(80_000, subject=f"{number}-{mail}")
            envelope = f"MAIL FROM:<{BILLING}>\r\nRCPT TO:<{ALICE}>\r\nDATA\r\n"
            writer.write(envelope.encode() + message + b".\r\n")
        writer.write(b"QUIT\r\n")
        while line := await reader.readline():
            stored += line.endswith(b"stored\r\n")
        writer.close()
        return stored

    def talk(port: int, _house: House) -> list[int]:
        async def all_clients() -> list[int]:
            return await asyncio.gather(*(client(port, number) for number in range(20)))

        return asyncio.run(all_clients())

    house, stored = with_server(talk, lmtp=True)
    assert stored == [10] * 20
    assert len(house.stored) == 200
    bodies = {data.partition(b"\r\n\r\n")[2] for data, _ in house.blobs.blobs.values()}
    assert bodies == {letter(80_000).partition(b"\r\n\r\n")[2]}


def test_a_client_cut_off_in_data_leaves_nothing() -> None:
    """The connection breaks within DATA: no message, no memory held, the next client is served."""

    def talk(port: int, house: House) -> int:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as broken:
            envelope = f"LHLO x\r\nMAIL FROM:<{BILLING}>\r\nRCPT TO:<{ALICE}>\r\nDATA\r\n"
            broken.sendall(envelope.encode() + letter(50_000))
            while b"354" not in broken.recv(1000):
                pass
        with smtplib.LMTP("127.0.0.1", port, timeout=10) as client:
            client.sendmail(BILLING, [ALICE], letter(subject="After"))
        return len(house.stored)

    _, count = with_server(talk, lmtp=True)
    assert count == 1


def test_a_silent_client_is_sent_away() -> None:
    """After the command timeout a client that says nothing hears 421 and is closed."""

    def talk(port: int, _house: House) -> bytes:
        heard = b""
        with socket.create_connection(("127.0.0.1", port), timeout=10) as silent:
            while chunk := silent.recv(1000):
                heard += chunk
        return heard

    _, heard = with_server(talk, lmtp=False, command_timeout_seconds=0.2)
    assert heard.endswith(b"421 4.4.2 Timeout, closing\r\n")
