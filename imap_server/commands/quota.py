"""GETQUOTA and GETQUOTAROOT (RFC 9208 §4.1): one root, named "", over the whole account."""

from imap_server.context import Context, Reply
from imap_server.wire import commands as c
from imap_server.wire import responses
from um.core.errors import NotFoundError

UNIT_OCTETS = 1024
ROOT = b'""'
MOST_MESSAGES = 4_294_967_295
"""The product limits octets, not messages: what is told is the largest number IMAP can say."""


async def get_quota(context: Context, command: c.GetQuota) -> Reply:
    """RFC 9208 §4.1.1."""
    if command.root:
        raise NotFoundError("There is no such quota root")
    await _write_quota(context)
    return Reply("GETQUOTA completed")


async def get_quota_root(context: Context, command: c.GetQuotaRoot) -> Reply:
    """RFC 9208 §4.1.2: also of a mailbox that is still to be made."""
    context.write(
        responses.untagged(
            b"QUOTAROOT", responses.mailbox(command.mailbox, utf8=context.utf8), ROOT
        )
    )
    await _write_quota(context)
    return Reply("GETQUOTAROOT completed")


async def _write_quota(context: Context) -> None:
    usage = await context.mailboxes.usage(context.account_id)
    used = -(-usage.used_octets // UNIT_OCTETS)
    limit = usage.limit_octets // UNIT_OCTETS
    messages = await context.mailboxes.message_count(context.account_id)
    resources = b"(STORAGE %d %d MESSAGE %d %d)" % (used, limit, messages, MOST_MESSAGES)
    context.write(responses.untagged(b"QUOTA", ROOT, resources))
