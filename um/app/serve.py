"""`um serve`: everything of one process, from the first file opened to the last connection closed.

Laws:
- `ready` is said when every listener listens; a port that is taken is an error, not a warning.
- What dead processes left in the spool is delivered before anything new is taken (as far as that
  takes no longer than REPLAY_SECONDS; the rest goes on beside the service).
- SIGTERM or SIGINT: no new calls, mail or logins; calls drain, sessions are told, deliveries in
  progress end, the store closes. Then the process returns 0.
"""

import asyncio
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from twisted.internet.error import CannotListenError

from um import logs
from um.app.loop import keep_steady, run_in_one_loop
from um.app.programs import missing_programs
from um.app.readiness import announce
from um.config import Config, Role, inactive_keys
from um.core.errors import UMError, UnavailableError
from um.core.events import QuotaCrossed, QuotaRefused
from um.failpoints import steps_from

if TYPE_CHECKING:
    from um.app.applications import Applications
    from um.app.edges import Edge
    from um.app.services import Services

log = structlog.get_logger(__name__)

REPLAY_SECONDS = 30.0
REPLAY_EVERY_SECONDS = 60.0
HOUSEKEEPING_EVERY_SECONDS = 3600.0
DISCARD_EVERY_SECONDS = 60.0
"""How often the bodies of expunged messages are looked for; they go when they are 5 minutes old."""


def run(config: Config, *, ready_file: Path | None = None, log_level: str = "info") -> None:
    """Serve until SIGTERM or SIGINT. Raises UMError if it cannot start."""
    logs.configure(level=log_level)

    async def main(stop: asyncio.Event, reactor: Any) -> None:
        logs.route_twisted()
        try:
            await serve(config, stop, reactor, environment=os.environ, ready_file=ready_file)
        except UMError:
            raise
        except Exception:
            log.exception("serve failed")
            raise

    run_in_one_loop(main)


async def serve(
    config: Config,
    stop: asyncio.Event,
    reactor: Any,
    *,
    environment: Mapping[str, str],
    ready_file: Path | None = None,
) -> None:
    """Serve the roles of `config` until `stop` is set."""
    # Only now: the edges import Twisted's reactor, which the loop has installed by this time.
    from um.app.edges import make_edges
    from um.app.outgoing import Outgoing
    from um.app.ports import opened_ports
    from um.app.services import Services
    from um.app.timers import Tasks
    from um.web.metrics import PrometheusMetrics

    for key, reason in inactive_keys(config).items():
        log.info("key does nothing yet", setting=key, reason=reason)
    for key, reason in missing_programs(config).items():
        log.warning("not installed", setting=key, reason=reason)
    metrics = PrometheusMetrics()
    async with AsyncExitStack() as stack:
        ports = await stack.enter_async_context(
            opened_ports(config, steps=steps_from(environment), metrics=metrics, serving=True)
        )
        services = Services(ports)
        stack.callback(services.close)
        tasks = Tasks()
        stack.push_async_callback(tasks.finish)
        notices = services.notices
        ports.bus.subscribe(QuotaCrossed, lambda event: tasks.begin(notices.send(event)))
        ports.bus.subscribe(QuotaRefused, lambda event: tasks.begin(notices.refused(event)))
        if Role.SMTP in config.server.roles:
            outgoing = Outgoing(services)
            stack.push_async_callback(outgoing.stop)
            await outgoing.start()
        applications = await _applications(services, stack)
        addresses: dict[str, list[str]] = {}
        for name, edge in make_edges(services, applications, metrics, reactor).items():
            stack.push_async_callback(partial(_stop, name, edge))
            addresses |= await _started(name, edge)
        keep_steady()
        announce(addresses, environment=environment, ready_file=ready_file)
        await stop.wait()
        log.info("stopping")
    log.info("stopped")


async def _applications(services: "Services", stack: AsyncExitStack) -> "Applications":
    """Voicemail and fax, what they left behind last time, and the work that comes again."""
    from um.app.applications import Applications
    from um.app.replay import Replay
    from um.app.timers import Timers

    ports = services.ports
    applications = Applications(services)
    stack.push_async_callback(applications.stop)
    await applications.start()
    replay = Replay(ports.spool, applications.recoveries, ports.metrics)
    timers = Timers()
    stack.push_async_callback(timers.stop)
    first = asyncio.create_task(replay.once(), name="first replay")
    stack.callback(first.cancel)
    await asyncio.wait({first}, timeout=REPLAY_SECONDS)

    async def replay_again() -> None:
        await asyncio.shield(first)
        await replay.once()

    timers.every(REPLAY_EVERY_SECONDS, "replay", replay_again)
    timers.every(1.0, "retry", applications.retry_pending)
    if Role.HOUSEKEEPING in ports.config.server.roles:
        timers.every(
            HOUSEKEEPING_EVERY_SECONDS, "housekeeping", services.housekeeping.tick, at_once=True
        )
        timers.every(DISCARD_EVERY_SECONDS, "discard", services.housekeeping.discard)
    return applications


async def _started(name: str, edge: "Edge") -> dict[str, list[str]]:
    try:
        bound = await edge.start()
    except CannotListenError as error:
        where = f"{error.interface}:{error.port}"
        reason = getattr(error.socketError, "strerror", None) or error.socketError
        raise UnavailableError(f"{name}: cannot listen on {where}: {reason}") from error
    except OSError as error:
        raise UnavailableError(f"{name}: cannot listen: {error.strerror or error}") from error
    return {service: list(addresses) for service, addresses in bound.items()}


async def _stop(name: str, edge: "Edge") -> None:
    """Stop one edge; a fault of it must not keep the others from stopping well."""
    try:
        await edge.stop()
    except Exception:
        log.exception("did not stop well", subject=name)
