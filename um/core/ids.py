"""Identifiers: opaque, immutable, never reused."""

from typing import NewType

OWNER_DIGITS = 12
"""So many digits of a body's key are its account's first: 48 random bits tell accounts apart."""

AccountId = NewType("AccountId", str)
"""32 hexadecimal digits (a UUID), made once, never shown to a customer."""
MailboxId = NewType("MailboxId", str)
"""MAILBOXID (RFC 8474 §4): 32 hexadecimal digits."""
ContentId = NewType("ContentId", str)
"""EMAILID (RFC 8474 §5.1): 32 hexadecimal digits, shared by all copies of one message."""
BlobKey = NewType("BlobKey", str)
"""Name of one stored message body: 32 hexadecimal digits, see `blob_key`."""
ReservationId = NewType("ReservationId", str)
CredentialId = NewType("CredentialId", str)
"""32 hexadecimal digits: names a token or an app password without opening anything."""
OutboxId = NewType("OutboxId", str)
"""32 random hexadecimal digits: a row of the outbox, and the token in its envelope sender."""
AddressId = NewType("AddressId", str)
"""32 hexadecimal digits: an address outside that copies may go to."""
E164 = NewType("E164", str)
"""A telephone number as `+` and up to 15 digits (ITU-T E.164)."""
Uid = NewType("Uid", int)
"""Unique identifier of a message in its mailbox (RFC 3501 §2.3.1.1): 1..2^32-1."""
ModSeq = NewType("ModSeq", int)
"""Modification sequence (RFC 7162 §3.1.1): strictly growing within a mailbox."""
IngestKey = NewType("IngestKey", str)
"""What makes one delivery happen once: at most 200 characters, unique while it is remembered."""


def blob_key(account_id: AccountId, unique: str) -> BlobKey:
    """The key of a new body: its owner's digits, then those of `unique` (32 random ones).

    So a body that no row names, because its delivery died, is still known by its account.
    """
    return BlobKey(owner_digits(account_id) + unique[OWNER_DIGITS:])


def owner_digits(account_id: AccountId) -> str:
    """What the keys of all bodies of this account begin with."""
    return account_id[:OWNER_DIGITS]
