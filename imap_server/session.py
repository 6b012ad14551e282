"""One client's session: takes events from the engine and runs commands, one at a time.

Laws: every command ends with exactly one tagged response, after all that happened in the mailbox
was told; every error of ours becomes NO by the table in `errors`, a client's BAD; what is neither
is logged, answered with NO [SERVERBUG], and does not end the server.
"""

from collections.abc import Awaitable

import structlog

from imap_server.commands import append
from imap_server.commands.any_state import capabilities
from imap_server.commands.authentication import start_tls
from imap_server.commands.compress import compress
from imap_server.commands.notify import tell
from imap_server.commands.table import COMMANDS
from imap_server.connection import (
    AppendBroken,
    AppendEnded,
    CommandReceived,
    Ended,
    Event,
    MessageOffered,
    MessageReceived,
)
from imap_server.context import Context, Reply
from imap_server.errors import BrokenResponseError, LinkLostError, SessionOverError, refused
from imap_server.link import Link
from imap_server.services import Services
from imap_server.state import HOLDS_EXPUNGE, State, told_as
from imap_server.wire import responses
from imap_server.wire.commands import Compress, StartTls
from imap_server.wire.tokens import BadCommandError
from um.core.errors import UMError

log = structlog.get_logger(__name__)


class Session:
    """Runs from the greeting to the end."""

    def __init__(self, services: Services, link: Link) -> None:
        self.context = Context(services, link)
        self._services = services
        self._link = link

    async def run(self) -> None:
        """Serve the client until it, the server or the network ends the connection."""
        context = self.context
        context.write(
            responses.status(
                b"*",
                b"OK",
                f"{self._services.settings.server_name} ready",
                code=b"CAPABILITY " + capabilities(context),
            )
        )
        try:
            while context.connection.state is not State.LOGOUT:
                event = await context.event(lambda: tell(context))
                if isinstance(event, Ended):
                    break
                await self._on_event(event)
        except SessionOverError as over:
            context.connection.end(str(over) or "Session ended")
            context.write(context.connection.data_to_send())
        except LinkLostError:
            log.debug("client gone", peer=self._link.peer)
        except BrokenResponseError:
            log.warning("response cut off", peer=self._link.peer)
            self._link.abort()
        finally:
            await self._leave()
            self._link.close()

    async def _leave(self) -> None:
        context = self.context
        context.select(None)
        context.watch_all(None)
        await append.forget(context)
        if context.login is not None:
            self._services.registry.leave(context.login.account.id, context)

    async def _on_event(self, event: Event) -> None:
        match event:
            case CommandReceived(tag, name, command):
                run = COMMANDS.get(type(command))
                if run is not None:
                    await self._answer(tag, told_as(name, command), run(self.context, command))
                elif isinstance(command, StartTls):
                    await self._answer(tag, name, self._start_tls(tag))
                else:
                    assert isinstance(command, Compress), command
                    await self._answer(tag, name, self._compress(tag, command))
            case MessageOffered():
                await append.offered(self.context, event)
            case MessageReceived():
                await append.received(self.context, event)
            case AppendBroken():
                await append.forget(self.context)
            case AppendEnded():
                await self._answer(event.tag, b"APPEND", append.ended(self.context))
            case _:
                raise AssertionError(event)

    async def _start_tls(self, tag: bytes) -> None:
        start_tls(self.context, tag)

    async def _compress(self, tag: bytes, command: Compress) -> None:
        compress(self.context, tag, command)

    async def _answer(self, tag: bytes, name: bytes, work: Awaitable[Reply | None]) -> None:
        context = self.context
        context.tag = tag
        started = self._services.clock.monotonic()
        try:
            reply = await work
            if reply is None:
                return
            response = responses.status(tag, reply.word, reply.text, code=reply.code)
        except BadCommandError as problem:
            await context.announce(expunge=False)
            context.connection.complain(tag, str(problem))
            context.write(context.connection.data_to_send())
            return
        except UMError as error:
            response = refused(tag, error)
        except (SessionOverError, BrokenResponseError, LinkLostError):
            raise
        except Exception:
            log.exception("command failed", command=name.decode("ascii"))
            self._services.metrics.count("imap_command_failures")
            response = responses.status(tag, b"NO", "Internal error", code=b"SERVERBUG")
        await context.announce(expunge=name not in HOLDS_EXPUNGE)
        context.write(response)
        await context.drain()
        self._services.metrics.observe(
            "imap_command_seconds", self._services.clock.monotonic() - started
        )
