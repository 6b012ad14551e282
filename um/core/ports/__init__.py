"""The ports: what services need of the outside, as protocols.

Laws:
- `Store.run` and `Store.read` take a synchronous function that gets a `Transaction`. It may run
  more than once, so it has no effect besides the transaction. It runs on a database thread.
- A transaction commits whole or not at all; the memory store rolls back too.
- Every change to a mailbox or account appends to `changes` by itself, in the same transaction;
  the store publishes it on the bus after the commit, and those of other processes as they appear.
- When the database cannot be reached or written, every call raises `UnavailableError`.
- All instants are aware datetimes in UTC.
"""

from um.core.ports.accounts import Accounts, Lockouts, Numbers, Records
from um.core.ports.annotations import Annotations
from um.core.ports.credentials import Credentials
from um.core.ports.files import (
    AudioFiles,
    BlobStore,
    Exported,
    ExportFile,
    Exports,
    Greetings,
    Quarantine,
    Spool,
    SpoolEntry,
)
from um.core.ports.forwarding import (
    ForwardAddresses,
    Letters,
    Outbox,
    Relay,
    Webhooks,
)
from um.core.ports.mailboxes import Mailboxes, Messages, Reservations
from um.core.ports.runtime import (
    Clock,
    EventBus,
    Metrics,
    NoMetrics,
    PasswordHasher,
)
from um.core.ports.store import Store, Transaction

__all__ = [
    "Accounts",
    "Annotations",
    "AudioFiles",
    "BlobStore",
    "Clock",
    "Credentials",
    "EventBus",
    "ExportFile",
    "Exported",
    "Exports",
    "ForwardAddresses",
    "Greetings",
    "Letters",
    "Lockouts",
    "Mailboxes",
    "Messages",
    "Metrics",
    "NoMetrics",
    "Numbers",
    "Outbox",
    "PasswordHasher",
    "Quarantine",
    "Records",
    "Relay",
    "Reservations",
    "Spool",
    "SpoolEntry",
    "Store",
    "Transaction",
    "Webhooks",
]
