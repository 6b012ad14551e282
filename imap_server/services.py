"""What all sessions of one server share."""

import asyncio
from dataclasses import dataclass, field

from imap_server.registry import Registry
from imap_server.settings import ImapSettings
from imap_server.sieve import KEPT_OCTETS
from um.core.ids import ContentId
from um.core.ports import Clock, Metrics
from um.service.authentication import Authenticator
from um.service.mailboxes import MailboxService
from um.service.octet_cache import OctetCache

LONG_WORK = 2
"""Threads that long searches and sorts of all sessions take together: calls and mail need the rest."""
FIELDS_OCTETS = 8 * 1024 * 1024
"""Chosen header fields that all sessions together keep."""
FOLDED_OCTETS = 16 * 1024 * 1024
"""Fields and texts that searches have looked into, of all sessions together."""


@dataclass(frozen=True, slots=True)
class Services:
    """What all sessions share."""

    settings: ImapSettings
    authenticator: Authenticator
    mailboxes: MailboxService
    clock: Clock
    metrics: Metrics
    registry: Registry
    fields: OctetCache[ContentId] = field(default_factory=lambda: OctetCache(FIELDS_OCTETS))
    """What HEADER.FIELDS chose of each message; contents never change."""
    folded: OctetCache[ContentId] = field(default_factory=lambda: OctetCache(FOLDED_OCTETS))
    """What SEARCH looked into, ready to be looked into again."""
    sieves: OctetCache[bytes] = field(default_factory=lambda: OctetCache(KEPT_OCTETS))
    """Headers of batches of messages, by mailbox, for SEARCH to tell at once what they lack."""
    long_work: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LONG_WORK))
