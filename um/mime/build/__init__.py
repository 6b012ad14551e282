"""The messages that we write ourselves: voice, fax and notice. Facts in, octets out."""

from um.mime.build.facts import AudioFormat, FaxFacts, NoticeFacts, VoiceFacts
from um.mime.build.fax import fax_message
from um.mime.build.notice import notice_message
from um.mime.build.voice import voice_message

__all__ = [
    "AudioFormat",
    "FaxFacts",
    "NoticeFacts",
    "VoiceFacts",
    "fax_message",
    "notice_message",
    "voice_message",
]
