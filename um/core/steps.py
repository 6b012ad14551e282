"""Named steps of the write paths: where a fault test may stop the process.

A step is announced when the work it names is done. In production `Steps` is `no_steps`; a test
passes one that kills the process at a chosen name (`um.app` reads it from UM_KILL_AT).
"""

from collections.abc import Callable

Steps = Callable[[str], None]

DELIVERY_STEPS = (
    "spool.opened",
    "spool.synced",
    "spool.sealed",
    "message.rendered",
    "blob.written",
    "blob.renamed",
    "blob.synced",
    "blob.directory-synced",
    "transaction.begun",
    "transaction.charged",
    "transaction.entry-added",
    "outbox.written",
    "transaction.before-commit",
    "transaction.committed",
    "delivery.acknowledging",
    "spool.unlinked",
)
"""A delivery, in order; mail has no spool steps, since its sender holds it until the 250."""

RECEPTION_STEPS = (
    "page.received",
    "page.decoded",
    "page.written",
    "page.renamed",
    "page.synced",
)
"""A fax page on its way to its confirmation, in order; announced in the fax child, once a page."""

PURGE_STEPS = (
    "purge.marked",
    "purge.blobs-deleted",
    "purge.messages-deleted",
    "purge.spool-deleted",
    "purge.quarantine-deleted",
    "purge.greetings-deleted",
    "purge.account-deleted",
    "purge.vacuumed",
    "purge.recorded",
)
"""A purge, in order: bodies go while their rows still name them, so that none is forgotten."""

OUTBOX_STEPS = (
    "outbox.leased",
    "outbox.rendered",
    "outbox.accepted",
    "outbox.settled",
)
"""A row of the outbox on its way out, in order; `accepted` is after the other side's answer."""


def no_steps(name: str) -> None:
    """Do nothing at the step `name`."""
