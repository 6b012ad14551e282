"""The messages that we write ourselves: voice, fax, notice and what leaves the house. Facts in, octets out."""

from um.mime.build.copy import copy_message
from um.mime.build.facts import (
    AudioFormat,
    CopyFacts,
    FaxFacts,
    InvoiceFacts,
    NoticeFacts,
    VoiceFacts,
)
from um.mime.build.fax import fax_message
from um.mime.build.invoice import invoice_message
from um.mime.build.notice import notice_message
from um.mime.build.voice import voice_message

__all__ = [
    "AudioFormat",
    "CopyFacts",
    "FaxFacts",
    "InvoiceFacts",
    "NoticeFacts",
    "VoiceFacts",
    "copy_message",
    "fax_message",
    "invoice_message",
    "notice_message",
    "voice_message",
]
