"""Our bindings at registrars at work: names resolved, REGISTERs sent, the calls' way in kept open.

Joins the engine (`sip/registration`) with the SIP ports. Nothing is registered that is not configured.
Runs on the loop's thread.

Laws:
- The name of a registrar is looked up for each REGISTER: an address may move.
- A registrar outside the trusted networks is not asked: its answers, and its calls, would not be heard.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from um.core.ports import Clock, Metrics
from um.telephony.mwi_requests import retry_after
from um.telephony.questions import Port, Questions
from um.telephony.randomness import Randomness, token
from um.telephony.sip.events import PeerLost, RequestAnswered
from um.telephony.sip.layer import Address, Hop, default_port
from um.telephony.sip.registration import Binding, Registration, State, register
from um.telephony.transport import DelayedCall, ListenAddress, Network, Reactor, is_inside

log = structlog.get_logger(__name__)

LEAVE_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.05

Resolver = Callable[[str, int], Awaitable[list[Address]]]
"""Addresses of a name, the most wanted first; raises OSError."""


async def resolve(host: str, port: int) -> list[Address]:
    """By the system's resolver, which also reads /etc/hosts; no SRV (RFC 3263 §4 would want it)."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(str(place[0]), int(place[1])) for *_, place in found]


class Registrations:
    """All of one server.

    Args:
        bindings: what to register.
        trusted: networks that are heard.
        clock: monotonic time.
        metrics: see docs/protocols/sip.md for the names.
        reactor: for timers.
        randomness: of tags, Call-IDs and jitter.
        resolver: finds registrars.
    """

    def __init__(
        self,
        bindings: Sequence[Binding],
        *,
        trusted: Sequence[Network],
        clock: Clock,
        metrics: Metrics,
        reactor: Reactor,
        randomness: Randomness,
        resolver: Resolver = resolve,
    ) -> None:
        self._clients = [_Client(binding, randomness) for binding in bindings]
        self._trusted = trusted
        self._clock = clock
        self._metrics = metrics
        self._reactor = reactor
        self._randomness = randomness
        self._resolver = resolver
        self._ways: dict[tuple[str, bool], Questions] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: DelayedCall | None = None

    def start(self, ports: Sequence[tuple[Port, ListenAddress]]) -> None:
        """Register over `ports`, which listen already."""
        for port, address in ports:
            way = address.transport.upper(), ":" in address.host
            questions = Questions(port, self._clock, self._randomness, name="register")
            self._ways.setdefault(way, questions)
        self._work()

    def received(self, port: Port, event: RequestAnswered | PeerLost) -> None:
        """What a port heard for us, or for others."""
        if isinstance(event, PeerLost):
            self._lost(port, event)
            return
        for questions in self._ways.values():
            if questions.port is port:
                questions.answered(event)

    def _lost(self, port: Port, event: PeerLost) -> None:
        way = port, event.peer, event.name
        concerned = [client for client in self._clients if client.way == way]
        for client in concerned:
            client.registration.lost(self._clock.monotonic())
        if concerned:
            self._work()

    async def stop(self) -> None:
        """Remove our bindings, as far as their registrars answer soon."""
        for client in self._clients:
            client.registration.stop()
        self._work()
        deadline = self._clock.monotonic() + LEAVE_SECONDS
        # Engines have nothing to await.
        while not self._all_gone and self._clock.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._disarm()

    @property
    def _all_gone(self) -> bool:
        return all(client.registration.state is State.GONE for client in self._clients)

    # ---- what is due

    def _work(self) -> None:
        now = self._clock.monotonic()
        for client in self._clients:
            expires = client.registration.due(now)
            if expires is not None:
                task = asyncio.ensure_future(self._register(client, expires))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        bound = sum(client.registration.state is State.BOUND for client in self._clients)
        self._metrics.gauge("sip_registrations", bound)
        self._arm(now)

    def _arm(self, now: float) -> None:
        self._disarm()
        timers = [client.registration.get_timer() for client in self._clients]
        deadline = min((timer for timer in timers if timer is not None), default=None)
        if deadline is not None:
            self._timer = self._reactor.callLater(max(0.0, deadline - now), self._work)

    def _disarm(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    async def _register(self, client: "_Client", expires: int) -> None:
        try:
            hop, questions = await self._reach(client.binding)
        except (OSError, UnicodeError) as error:  # the latter for what can be no name
            log.warning("registration.not-reachable", registrar=client.name, error=repr(error))
            self._answered(client, RequestAnswered("", None))
            return
        endpoint = questions.port.endpoint
        client.way = questions.port, hop.address, hop.name
        secure = client.binding.registrar.scheme == "sips"  # RFC 3261 §10.2.1
        client.contact = endpoint.uri_of(client.binding.contact_user, secure=secure)
        request = register(
            client.binding,
            via=endpoint.new_via(hop),
            contact=client.contact,
            call_id=client.call_id,
            tag=client.tag,
            number=client.registration.number,
            expires=expires,
        )
        questions.ask(request, hop, lambda event, *_: self._answered(client, event))
        questions.port.work()

    async def _reach(self, binding: Binding) -> tuple[Hop, Questions]:
        """Where the registrar is, and by which port. Raises OSError if there is no way."""
        uri, transport = binding.registrar, binding.transport
        port = uri.port or default_port(transport)
        for address in await self._resolver(uri.host, port):
            questions = self._ways.get((transport, ":" in address[0]))
            if questions is not None and is_inside(address[0], self._trusted):
                return Hop(transport, address, name=uri.host), questions
        raise OSError(0, f"no address in trusted_cores that we listen for over {transport}")

    def _answered(self, client: "_Client", event: RequestAnswered) -> None:
        response = event.response
        before = client.registration.state
        client.registration.answered(
            response,
            self._clock.monotonic(),
            contact=client.contact,
            number=event.number,
            wait=retry_after(response) if response is not None else 0.0,
        )
        self._tell(client, before, response.status if response is not None else None)
        self._work()

    def _tell(self, client: "_Client", before: State, status: int | None) -> None:
        state = client.registration.state
        if state is State.WAITING:
            self._metrics.count("sip_registration_failures")
            log.warning("registration.failed", registrar=client.name, status=status)
        elif state is not before and state is State.BOUND and not client.told:
            log.info("registration.bound", registrar=client.name, contact=client.contact)
        elif state is State.GONE:
            log.info("registration.removed", registrar=client.name, status=status)
        client.told = state is State.BOUND


class _Client:
    """One binding, with what all its REGISTERs share (RFC 3261 §10.2)."""

    def __init__(self, binding: Binding, randomness: Randomness) -> None:
        self.binding = binding
        self.registration = Registration(binding, randomness)
        self.call_id = token(randomness)
        self.tag = token(randomness)
        self.contact = ""
        self.way: tuple[Port, Address, str] | None = None
        """By which port, and to whom, the last REGISTER went."""
        self.told = False
        """That it is bound was logged, and is so still."""

    @property
    def name(self) -> str:
        """For the log."""
        return self.binding.address_of_record
