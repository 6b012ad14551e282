"""Commands of every state: CAPABILITY, NOOP, LOGOUT, ID (RFC 3501 §6.1, RFC 2971)."""

import structlog

from imap_server.context import Context, Reply
from imap_server.state import State
from imap_server.wire import commands as c
from imap_server.wire import responses

log = structlog.get_logger(__name__)

_ALWAYS = (b"IMAP4rev1", b"SASL-IR", b"LITERAL+", b"ID", b"IDLE")
_AFTER_LOGIN = (
    b"NAMESPACE",
    b"CHILDREN",
    b"UNSELECT",
    b"UIDPLUS",
    b"MOVE",
    b"SPECIAL-USE",
    b"STATUS=SIZE",
    b"QUOTA",
    b"QUOTA=RES-STORAGE",
)


def capabilities(context: Context) -> bytes:
    """What is on offer now, without the word CAPABILITY; only what is finished stands here."""
    names = list(_ALWAYS)
    if context.login is not None:
        names += [*_AFTER_LOGIN, b"APPENDLIMIT=%d" % context.mailboxes.append_octets]
    else:
        if context.link.can_start_tls:
            names.append(b"STARTTLS")
        names.append(b"AUTH=PLAIN" if may_log_in(context) else b"LOGINDISABLED")
    hidden = {name.encode("ascii") for name in context.settings.hidden_capabilities}
    return b" ".join(name for name in names if name not in hidden)


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
    """RFC 2971 §3.1: for diagnosis only."""
    log.info("client identified", peer=context.link.peer, client=dict(command.fields))
    name = responses.quoted(context.settings.server_name.encode("ascii"))
    context.write(responses.untagged(b"ID", b'("name" ' + name + b")"))
    return Reply("ID completed")
