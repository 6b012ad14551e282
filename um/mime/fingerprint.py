"""What makes two hand-overs of one mail the same: a sender that lost our 250 tries again.

The hash covers envelope sender and message, without the fields that a second way through the mail
system may change (trace) and without those that we strip or write ourselves. The ingest key of a
delivery is this and its recipient.
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


def fingerprint(data: bytes, *, sender: str) -> str:
    """64 hexadecimal digits for a message from that envelope sender."""
    end = header_end(data, 0, len(data))
    digest = hashlib.sha256()
    path = sender.encode("utf-8", "replace")
    digest.update(len(path).to_bytes(4, "big") + path)
    digest.update(strip_headers(data[:end], TRACE))
    digest.update(memoryview(data)[end:])
    return digest.hexdigest()
