"""What makes two hand-overs of one mail the same: a sender that lost our 250 tries again.

The hash covers envelope sender, recipient and message, without the fields that a second way through
the mail system may change (trace) and without those that we strip or write ourselves.
"""

import hashlib

from um.mime.fields import header_end
from um.mime.trace import OURS, strip_headers

TRACE = (
    "Received",
    "Return-Path",
    "Delivered-To",
    "Envelope-To",
    "X-Original-To",
    "Received-SPF",
    "Authentication-Results",
    "ARC-*",
    *OURS,
)


def fingerprint(data: bytes, *, sender: str, recipient: str) -> str:
    """64 hexadecimal digits. `recipient` is who gets it, in one spelling (the account's id)."""
    end = header_end(data, 0, len(data))
    digest = hashlib.sha256()
    for part in (sender.encode("utf-8", "replace"), recipient.encode("utf-8", "replace")):
        digest.update(len(part).to_bytes(4, "big") + part)
    digest.update(strip_headers(data[:end], TRACE))
    digest.update(memoryview(data)[end:])
    return digest.hexdigest()
