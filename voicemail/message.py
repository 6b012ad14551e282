"""A recording and the facts of its call as the message that its owner reads."""

from um.core.account import Account
from um.mime.build import VoiceFacts, voice_message
from um.service.call_facts import CallFacts
from voicemail.audio import Recording


def render(
    account: Account, facts: CallFacts, recording: Recording, identifier: str, domain: str
) -> bytes:
    """The message (RFC 5322, CRLF). `identifier` gives the Message-ID: the same at every try."""
    return voice_message(
        VoiceFacts(
            id=identifier,
            domain=domain,
            recipient=facts.number or account.name,
            recipient_name=account.full_name,
            received_at=facts.started_at,
            timezone=account.timezone,
            duration_seconds=recording.duration_seconds,
            audio=recording.data,
            audio_format=recording.format,
            caller_number=facts.caller_number,
            caller_name=facts.caller_name,
            call_id=facts.call_id,
            redirect_cause=facts.cause,
            urgent=facts.urgent,
        )
    )
