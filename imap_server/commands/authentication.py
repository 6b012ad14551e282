"""Commands before login: STARTTLS, AUTHENTICATE, LOGIN (RFC 3501 §6.2, RFC 4616, RFC 4959).

Laws: no password is looked at in clear; every failure answers alike and later than the one before.
"""

import base64
import binascii

import structlog

from imap_server.commands.any_state import capabilities, may_log_in
from imap_server.connection import LineReceived
from imap_server.context import Context, Reply
from imap_server.errors import PrivacyRequiredError, SessionOverError, TooManyConnectionsError
from imap_server.wire import commands as c
from imap_server.wire import responses
from imap_server.wire.tokens import BadCommandError
from um.core.errors import AuthenticationError, LockedOutError

log = structlog.get_logger(__name__)

MAX_DELAY_SECONDS = 8.0


def start_tls(context: Context, tag: bytes) -> None:
    """RFC 3501 §6.2.1. Answers by itself: nothing may follow the OK in clear."""
    if not context.link.can_start_tls:
        raise BadCommandError("TLS is not available" if not context.link.secure else "TLS is on")
    context.write(responses.status(tag, b"OK", "Begin TLS negotiation now"))
    context.connection.start_tls()
    context.link.start_tls()


async def login(context: Context, command: c.Login) -> Reply:
    """RFC 3501 §6.2.3."""
    if not may_log_in(context):
        raise PrivacyRequiredError
    await _log_in(context, command.name, command.password)
    return Reply("Logged in", code=b"CAPABILITY " + capabilities(context))


async def authenticate(context: Context, command: c.Authenticate) -> Reply:
    """RFC 3501 §6.2.2 with PLAIN (RFC 4616); the initial response is RFC 4959's."""
    if not may_log_in(context):
        raise PrivacyRequiredError
    if command.mechanism != "PLAIN":
        return Reply("Mechanism is not known", word=b"NO", code=b"CANNOT")
    answer = command.initial if command.initial is not None else await _answer(context)
    if answer == b"*":
        raise BadCommandError("Cancelled")
    name, password = _plain(answer)
    await _log_in(context, name, password)
    return Reply("Logged in", code=b"CAPABILITY " + capabilities(context))


async def _answer(context: Context) -> bytes:
    context.write(responses.continuation())
    context.connection.ask_line()
    event = await context.event()
    if not isinstance(event, LineReceived):
        raise SessionOverError("Nothing was answered")
    return event.line


def _plain(answer: bytes) -> tuple[bytes, bytes]:
    """Read authzid NUL authcid NUL passwd; an identity to act as must be the own one."""
    try:
        message = base64.b64decode(b"" if answer == b"=" else answer, validate=True)
    except binascii.Error:
        raise BadCommandError("Invalid base64") from None
    parts = message.split(b"\0")
    if len(parts) != 3:
        raise BadCommandError("Invalid PLAIN message")
    acts_as, name, password = parts
    if acts_as and acts_as != name:
        raise AuthenticationError
    return name, password


async def _log_in(context: Context, name: bytes, password: bytes) -> None:
    try:
        result = await context.services.authenticator.login(
            _text(name), _text(password), peer=context.link.peer
        )
    except (AuthenticationError, LockedOutError):
        await _punish(context)
        raise
    limit = context.settings.max_connections_per_account
    if not context.services.registry.enter(result.account.id, context, limit=limit):
        raise TooManyConnectionsError
    context.logged_in(result)
    log.info("imap login", account=result.account.id, peer=context.link.peer)
    if result.notice:
        context.write(responses.status(b"*", b"OK", result.notice, code=b"ALERT"))


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise AuthenticationError from None


async def _punish(context: Context) -> None:
    context.login_failures += 1
    context.services.metrics.count("imap_login_failures")
    # The name stays out: what is typed there is now and then the password.
    log.info("imap login refused", peer=context.link.peer, failures=context.login_failures)
    await context.link.pause(min(2.0 ** (context.login_failures - 1), MAX_DELAY_SECONDS))
    if context.login_failures >= context.settings.max_login_failures:
        context.end("Too many failed logins")
