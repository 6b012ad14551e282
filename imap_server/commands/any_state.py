"""Commands of every state: CAPABILITY, NOOP, LOGOUT, ID, ENABLE (RFC 3501 §6.1, RFC 2971, RFC 5161)."""

import structlog

from imap_server.capabilities import SPELLED, Offer, enabled_by, offered
from imap_server.context import Context, Reply
from imap_server.state import State
from imap_server.wire import commands as c
from imap_server.wire import responses

log = structlog.get_logger(__name__)

CLIENT_NAME = 128
"""As much of what a client calls itself is looked at."""
_LOGGED = ("name", "version", "os", "os-version", "vendor")


def capabilities(context: Context) -> bytes:
    """What is on offer now, without the word CAPABILITY."""
    offer = Offer(
        logged_in=context.login is not None,
        secure=may_log_in(context),
        can_start_tls=context.link.can_start_tls,
        append_octets=context.mailboxes.append_octets,
        compress=context.settings.compress and not context.link.compressed,
        literal_minus=context.settings.limits.literal_minus,
        disabled=context.disabled,
    )
    return " ".join(offered(offer)).encode("ascii")


def may_log_in(context: Context) -> bool:
    """Whether a password may be sent over this connection (RFC 3501 §6.2.3 LOGINDISABLED)."""
    return context.link.secure or context.settings.allow_plaintext_login


async def capability(context: Context, _command: c.Capability) -> Reply:
    """RFC 3501 §6.1.1."""
    context.write(responses.untagged(b"CAPABILITY", capabilities(context)))
    return Reply("CAPABILITY completed")


async def noop(context: Context, _command: c.Noop) -> Reply:
    """RFC 3501 §6.1.2: the client polls, so the mailbox is looked at even without a hint."""
    if context.selected is not None:
        context.expect_change()
    return Reply("NOOP completed")


async def logout(context: Context, _command: c.Logout) -> Reply:
    """RFC 3501 §6.1.3."""
    context.select(None)
    context.connection.state = State.LOGOUT
    context.write(responses.status(b"*", b"BYE", "Logging out"))
    return Reply("LOGOUT completed")


async def identify(context: Context, command: c.Id) -> Reply:
    """RFC 2971 §3.1: for diagnosis, and to know a client that trips over something."""
    fields = dict(command.fields)
    if (
        not context.identified
    ):  # a stranger may send ID over and over, and the log is no place for it
        context.identified = True
        told = {name: fields[name][:CLIENT_NAME] for name in _LOGGED if name in fields}
        log.info("client identified", peer=context.link.peer, client=told)
    name = responses.quoted(context.settings.server_name.encode("ascii"))
    context.write(responses.untagged(b"ID", b'("name" ' + name + b")"))
    before = capabilities(context)
    context.client_name = fields.get("name", "")[:CLIENT_NAME]
    after = capabilities(context)
    if after != before:
        context.write(responses.untagged(b"CAPABILITY", after))
    return Reply("ID completed")


async def enable(context: Context, command: c.Enable) -> Reply:
    """RFC 5161 §3.1: what was on already is not told again."""
    turned_on = context.enable(enabled_by(command.names, context.disabled))
    told = [SPELLED.get(name, name).encode("ascii") for name in turned_on]
    context.write(responses.untagged(b"ENABLED", *told))
    return Reply("ENABLE completed")
