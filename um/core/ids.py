"""Identifiers: opaque, immutable, never reused."""

from typing import NewType

AccountId = NewType("AccountId", str)
"""32 hexadecimal digits (a UUID), made once, never shown to a customer."""
MailboxId = NewType("MailboxId", str)
"""MAILBOXID (RFC 8474 §4): 32 hexadecimal digits."""
ContentId = NewType("ContentId", str)
"""EMAILID (RFC 8474 §5.1): 32 hexadecimal digits, shared by all copies of one message."""
BlobKey = NewType("BlobKey", str)
"""Name of one stored message body: 32 hexadecimal digits."""
ReservationId = NewType("ReservationId", str)
E164 = NewType("E164", str)
"""A telephone number as `+` and up to 15 digits (ITU-T E.164)."""
Uid = NewType("Uid", int)
"""Unique identifier of a message in its mailbox (RFC 3501 §2.3.1.1): 1..2^32-1."""
ModSeq = NewType("ModSeq", int)
"""Modification sequence (RFC 7162 §3.1.1): strictly growing within a mailbox."""
IngestKey = NewType("IngestKey", str)
"""What makes one delivery happen once: at most 200 characters, unique while it is remembered."""
