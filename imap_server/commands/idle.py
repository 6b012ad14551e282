"""IDLE (RFC 2177): changes are told as they happen, until the client says DONE."""

from imap_server.commands.notify import tell
from imap_server.connection import Ended, LineReceived
from imap_server.context import Context, Reply
from imap_server.errors import SessionOverError
from imap_server.wire import commands as c
from imap_server.wire import responses


async def idle(context: Context, _command: c.Idle) -> Reply:
    """RFC 2177 §3. Without a mailbox there is nothing to tell, and clients do it all the same."""
    context.write(responses.continuation(b"idling"))
    context.connection.ask_line()
    clock = context.services.clock
    keep_alive = context.settings.keep_alive_seconds
    next_sign = clock.monotonic() + keep_alive
    while True:
        if context.watch is None:
            await context.announce(expunge=True)
            await context.drain()
        else:  # RFC 5465 §4: then IDLE tells what NOTIFY has asked for
            await tell(context, idle=True)
        event = await context.event_within(next_sign - clock.monotonic())
        if isinstance(event, LineReceived):
            if event.line.upper() == b"DONE":
                return Reply("IDLE terminated")
            context.connection.complain(b"*", "Expected DONE")
            context.connection.ask_line()
        elif isinstance(event, Ended):
            raise SessionOverError("")
        if clock.monotonic() >= next_sign:
            context.write(responses.status(b"*", b"OK", "Still here"))
            next_sign = clock.monotonic() + keep_alive
