"""A customer's mail program for the end-to-end tests, the demo and the benchmarks, on aioimaplib."""

import asyncio
import re
import ssl
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from types import TracebackType
from typing import Self

import aioimaplib


@dataclass(frozen=True, slots=True)
class Mail:
    """One message as it was read back."""

    uid: int
    raw: bytes
    message: EmailMessage

    def attachment(self, content_type: str) -> bytes:
        """Decoded octets of the first part of that type; KeyError if there is none."""
        for part in self.message.walk():
            if part.get_content_type() == content_type:
                payload = part.get_payload(decode=True)
                assert isinstance(payload, bytes)
                return payload
        raise KeyError(content_type)


class MailProgram:
    """One IMAP connection over TLS with INBOX selected. Use as `async with`."""

    def __init__(self, host: str, port: int, user: str, password: str) -> None:
        self.host, self.port, self.user, self.password = host, port, user, password
        self.idling: asyncio.Future[object] | None = None

    async def __aenter__(self) -> Self:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.client = aioimaplib.IMAP4_SSL(self.host, self.port, ssl_context=context, timeout=60)
        await self.client.wait_hello_from_server()
        self._must(await self.client.login(self.user, self.password))
        self.exists = self._exists(self._must(await self.client.select("INBOX")))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.idling is not None:
            self.client.idle_done()
        try:
            await asyncio.wait_for(self.client.logout(), 10)
        except (TimeoutError, aioimaplib.Abort, aioimaplib.Error, OSError):
            if error is None:
                raise

    @staticmethod
    def _must(response: aioimaplib.Response) -> list[bytes]:
        if response.result != "OK":
            raise AssertionError(f"the server said {response.result}: {response.lines!r}")
        return [bytes(line) for line in response.lines]

    @staticmethod
    def _exists(lines: list[bytes]) -> int:
        counts = [int(m[1]) for line in lines if (m := re.match(rb"(\d+) EXISTS", line))]
        return counts[-1] if counts else 0

    async def idle(self) -> None:
        """Begin to idle, so that what follows cannot be missed."""
        self.idling = await self.client.idle_start(timeout=29 * 60)

    async def wait_for_more(self, than: int, *, timeout_seconds: float = 120) -> int:
        """Idle until the mailbox holds more than `than` messages; returns how many there are."""
        if self.idling is None:
            await self.idle()
        async with asyncio.timeout(timeout_seconds):
            while self.exists <= than:
                push = await self.client.wait_server_push(timeout=timeout_seconds)
                self.exists = self._exists([bytes(line) for line in push]) or self.exists
        await self.stop_idling()
        return self.exists

    async def stop_idling(self) -> None:
        """End IDLE with DONE and wait for its tagged OK."""
        if self.idling is not None:
            self.client.idle_done()
            await asyncio.wait_for(self.idling, 30)
            self.idling = None

    async def read_all(self) -> list[Mail]:
        """All messages of INBOX, by UID, whole."""
        search = self._must(await self.client.uid_search("ALL"))
        return [await self.read(int(uid)) for uid in search[0].split()]

    async def read(self, uid: int) -> Mail:
        """One message, whole, without marking it as read."""
        lines = self._must(await self.client.uid("fetch", str(uid), "(UID BODY.PEEK[])"))
        raw = lines[1]
        message = message_from_bytes(raw, policy=default)
        assert isinstance(message, EmailMessage)
        return Mail(uid, raw, message)
