"""A voice message as it is sent on to another mailbox. Pure but for FFmpeg; runs off the loop.

Without an introduction the recording goes on octet for octet; with one, both are one recording, so
that every mail program plays them in order. The caller stays the caller; who sent it on is said.
"""

from array import array
from datetime import datetime
from uuid import uuid4

from um.core.account import Account, Number
from um.core.errors import RefusedDocumentError
from um.core.ids import IngestKey
from um.core.message import KEYWORDS, MessageKind
from um.mime.build import AudioFormat, VoiceFacts, voice_message
from um.mime.headers import decode_text, get
from um.service.delivery import Incoming
from voicemail.audio import Recording, encode, little_endian, prepare
from voicemail.level import SAMPLE_RATE
from voicemail.requests import Forward
from voicemail.settings import VoicemailSettings
from voicemail.sound import AudioPart, audio_part, decode

PAUSE_SECONDS = 0.7
"""Between the introduction and the message."""
_FORMATS = {"mpeg": AudioFormat.MP3, "wav": AudioFormat.WAV}
_ANONYMOUS = "anonymous"


def forwarded(
    message: bytes,
    request: Forward,
    *,
    sender: Account,
    recipient: tuple[Account, Number],
    now: datetime,
    settings: VoicemailSettings,
) -> Incoming:
    """The message for `recipient`. Raises RefusedDocumentError if there is no sound to send."""
    part = audio_part(message)
    if part is None:
        raise RefusedDocumentError("The message holds no sound")
    recording = _recording(part, request, settings)
    account, number = recipient
    key = uuid4().hex
    caller = _header(message, "X-CallingTelephoneNumber")
    name = _header(message, "X-VoiceMessageSenderName") or caller
    data = voice_message(
        VoiceFacts(
            id=key,
            domain=settings.domain,
            recipient=number.e164,
            recipient_name=account.full_name,
            received_at=now,
            timezone=account.timezone,
            duration_seconds=recording.duration_seconds,
            audio=recording.data,
            audio_format=recording.format,
            caller_number=caller,
            caller_name=f"{name} (forwarded by {sender.full_name or sender.name})".strip(),
        )
    )
    return Incoming(
        account_id=account.id,
        kind=MessageKind.VOICE,
        data=data,
        ingest_key=IngestKey(f"{key}:{account.id}"),
        internal_date=now,
        flags=(KEYWORDS[MessageKind.VOICE],),
        duration_seconds=recording.whole_seconds,
    )


def _recording(part: AudioPart, request: Forward, settings: VoicemailSettings) -> Recording:
    if not request.introduction and part.subtype in _FORMATS:
        return Recording(part.data, _FORMATS[part.subtype], float(request.item.seconds))
    pause = array("h", bytes(round(PAUSE_SECONDS * SAMPLE_RATE) * 2))
    introduction = array("h")
    introduction.frombytes(request.introduction)
    spoken = prepare(little_endian(introduction).tobytes()) or introduction
    return encode(spoken + pause + decode(part.data), settings.audio_format)


def _header(message: bytes, name: str) -> str:
    """A field's text; empty if it is withheld or not there."""
    value = get(message, name)
    text = decode_text(value) if value else ""
    return "" if text == _ANONYMOUS else text
