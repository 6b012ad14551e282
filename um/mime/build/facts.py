"""What a voice message, a fax or a notice is made of, before it is a message."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class AudioFormat(StrEnum):
    """How a recording is stored."""

    MP3 = "mp3"
    WAV = "wav"


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceFacts:
    """One recording. Texts come as received from the network: the builder cleans them."""

    id: str
    """The spool entry's id: gives the Message-ID and the boundary."""
    domain: str
    """Our mail domain."""
    recipient: str
    """Local part of the address it is for: the called number in E.164 or the account's name."""
    received_at: datetime
    """When the recording began, aware."""
    duration_seconds: float
    audio: bytes = field(repr=False)
    audio_format: AudioFormat = AudioFormat.MP3
    timezone: str = "UTC"
    """IANA name of the account's time zone."""
    recipient_name: str = ""
    caller_number: str = ""
    """E.164 where possible; empty if withheld."""
    caller_name: str = ""
    call_id: str = ""
    """SIP Call-ID, for support."""
    redirect_cause: str = ""
    urgent: bool = False
    transcript: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaxFacts:
    """One received fax. Texts come as received from the network: the builder cleans them."""

    id: str
    domain: str
    recipient: str
    received_at: datetime
    """When the call was answered, aware."""
    pages: int
    """Pages in the document."""
    pdf: bytes = field(repr=False)
    pages_expected: int | None = None
    """Pages that the sender began to send; more than `pages` makes it a partial fax."""
    partial: bool = False
    """The fax ended before its sender said it was complete."""
    timezone: str = "UTC"
    recipient_name: str = ""
    caller_number: str = ""
    caller_name: str = ""
    station_id: str = ""
    """TSI: what the sending machine calls itself."""
    resolution: str = ""
    """For people, such as `fine, 204 x 196 dpi`."""
    rate_bps: int | None = None
    ecm: bool | None = None
    result: str = ""
    """How the session ended, in words."""
    note: str = ""
    """More for the reader, such as pages that could not be decoded."""
    page_numbers: tuple[int, ...] = ()
    """Of each page in the document: its place among all that were sent, from 1."""
    bad_lines: tuple[int, ...] = ()
    """Of each page in the document: lines that came damaged; empty if it is not known."""
    page_texts: Mapping[int, str] = field(default_factory=dict)
    """What was read from the pages, by their place among all that were sent."""
    call_id: str = ""
    redirect_cause: str = ""

    @property
    def is_partial(self) -> bool:
        """Something that was sent is not in the document."""
        return self.partial or (self.pages_expected or 0) > self.pages


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceFacts:
    """One invoice. Texts come as billing gave them: the builder cleans them."""

    id: str
    """Gives the Message-ID and the boundary: the same for the same invoice."""
    domain: str
    recipient: str
    """The account's name."""
    number: str
    pdf: bytes = field(repr=False)
    at: datetime
    """When it was issued, aware."""
    timezone: str = "UTC"
    recipient_name: str = ""
    sender_name: str = "Billing"
    subject: str = ""
    amount: str = ""
    """With its currency, as it is to be shown."""
    due: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeFacts:
    """A message from the system to the account's owner."""

    id: str
    domain: str
    recipient: str
    at: datetime
    subject: str
    text: str
    """Plain text, lines separated by LF."""
    timezone: str = "UTC"
    recipient_name: str = ""
    sender: str = "postmaster"
    """Local part of the From address."""
    sender_name: str = "Mailbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyFacts:
    """A mail from us to an address outside. Texts may be hostile: the builder cleans them."""

    id: str
    """Gives the Message-ID and the boundaries, the same however often it is rendered."""
    sender: str
    """An address of the operator's own domain."""
    sender_name: str
    recipient: str
    at: datetime
    subject: str
    text: str
    html: str
    timezone: str = "UTC"
    language: str = ""
    delivered_to: str = ""
    """The mailbox it comes from: should it come back there, it is known by this."""
    trace: bytes = b""
    """Received and Delivered-To fields of the message that is copied, so that hops are counted on."""
    kind: str = ""
    context: str = ""
    """Message-Context (RFC 3458)."""
    parts: Sequence[bytes] = field(default=(), repr=False)
    """Documents: fields, empty line, body."""
