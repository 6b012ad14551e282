"""A voicemail as a message that mail programs and visual voicemail clients both understand.

Numeric local part in From and Content-Duration in the header are what Android's client reads;
Content-Class and X-Voice… what Outlook reads; Message-Context is RFC 3458, Content-Duration RFC 3803,
the `voice` parameter RFC 3801 §4.4.
"""

from um.mime.build.caller import ANONYMOUS, file_stem, local_part, minutes_seconds, shown_caller
from um.mime.build.facts import AudioFormat, VoiceFacts
from um.mime.build.writer import (
    Attachment,
    address_field,
    date_field,
    local_time,
    mail_address,
    message_id,
    multipart,
    text_field,
)
from um.mime.clean import clean_text

_MEDIA_TYPES = {AudioFormat.MP3: "audio/mpeg", AudioFormat.WAV: "audio/wav"}


def voice_message(facts: VoiceFacts) -> bytes:
    """Render a voicemail (RFC 5322, CRLF, 7-bit)."""
    duration = max(1, round(facts.duration_seconds))
    audio = Attachment(
        media_type=_MEDIA_TYPES[facts.audio_format],
        filename=f"{file_stem('voice', facts.received_at, facts.caller_number)}.{facts.audio_format}",
        data=facts.audio,
        description="Voice message",
        disposition_parameters=(("voice", "Voice-Message"),),
        fields=(("Content-Duration", str(duration)),),
    )
    return multipart(_header(facts, duration), facts.id, _text(facts, duration), audio)


def _header(facts: VoiceFacts, duration: int) -> list[bytes]:
    sender = mail_address(local_part(facts.caller_number), facts.domain)
    recipient = mail_address(facts.recipient, facts.domain)
    caller = shown_caller(facts.caller_name, facts.caller_number)
    fields = [
        address_field("From", sender, facts.caller_name),
        address_field("To", recipient, facts.recipient_name),
        text_field("Subject", f"Voice message from {caller} ({minutes_seconds(duration)})"),
        date_field(facts.received_at, facts.timezone),
        text_field("Message-ID", message_id("voice", facts.id, facts.domain)),
        text_field("Message-Context", "voice-message"),
        text_field("Content-Duration", str(duration)),
    ]
    if facts.urgent:
        fields += [text_field("Importance", "High"), text_field("X-Priority", "1")]
    fields += [
        text_field("Content-Class", "voice-ca"),
        text_field("X-CallingTelephoneNumber", clean_text(facts.caller_number) or ANONYMOUS),
        text_field("X-VoiceMessageDuration", str(duration)),
        text_field("X-VoiceMessageSenderName", clean_text(facts.caller_name) or ANONYMOUS),
        text_field("X-UM-Kind", "voice"),
    ]
    if facts.call_id:
        fields.append(text_field("X-UM-Call-ID", facts.call_id, 250))
    if facts.redirect_cause:
        fields.append(text_field("X-UM-Redirect-Cause", facts.redirect_cause, 80))
    return fields


def _text(facts: VoiceFacts, duration: int) -> str:
    if facts.transcript.strip():
        return facts.transcript
    at = local_time(facts.received_at, facts.timezone)
    caller = shown_caller(facts.caller_name, facts.caller_number)
    return (
        f"Voice message from {caller},\n"
        f"received {at:%Y-%m-%d %H:%M %Z}, length {minutes_seconds(duration)}."
    )
