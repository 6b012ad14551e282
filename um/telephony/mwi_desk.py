"""Message waiting at work: changes of mailboxes in, NOTIFYs out, SUBSCRIBEs answered.

Joins the engines with the bus that tells of changes, the service that counts and the SIP ports.
Runs on the loop's thread.

Laws:
- A change only says where to look: the counts are read again after the burst.
- Without targets only the accounts that somebody subscribed to are read.
"""

from collections.abc import Callable, Sequence

import structlog

from um.core.events import AccountChanged, MailboxChanged
from um.core.ids import E164, AccountId
from um.core.ports import Clock, EventBus, Metrics
from um.core.waiting import Lamp
from um.service.message_waiting import MessageWaiting, Subscriptions
from um.telephony.mwi_burst import Bursts
from um.telephony.mwi_core import WatchedCore
from um.telephony.mwi_reader import LampReader
from um.telephony.mwi_requests import Place, parse_target
from um.telephony.mwi_subscribers import Subscribers
from um.telephony.questions import Port, Questions
from um.telephony.randomness import Randomness
from um.telephony.sip.events import OtherEvent, PeerLost, RequestAnswered
from um.telephony.transport import DelayedCall, ListenAddress, Reactor

log = structlog.get_logger(__name__)


class MessageWaitingDesk:
    """Tells cores and telephones of what waits.

    Args:
        waiting: counts, and keeps subscriptions.
        bus: tells of changes.
        targets: SIP URIs of the cores that are told unasked. Raises InvalidError for a bad one.
        domain: of Message-Account.
        clock: both times.
        metrics: see docs/protocols/mwi.md for the names.
        reactor: for timers.
        randomness: of tags and Call-IDs.
    """

    def __init__(
        self,
        waiting: MessageWaiting,
        bus: EventBus,
        *,
        targets: Sequence[str],
        domain: str,
        clock: Clock,
        metrics: Metrics,
        reactor: Reactor,
        randomness: Randomness,
    ) -> None:
        self._waiting = waiting
        self._bus = bus
        self._places = [parse_target(each) for each in dict.fromkeys(targets)]
        self._domain = domain
        self._clock = clock
        self._metrics = metrics
        self._reactor = reactor
        self._randomness = randomness
        self._subscribers: dict[Port, Subscribers] = {}
        self._cores: list[WatchedCore] = []
        self._reader: LampReader | None = None
        self._bursts: Bursts[AccountId] = Bursts()
        self._owners: dict[E164, AccountId] = {}
        self._numbers: dict[AccountId, set[E164]] = {}
        self._endings: list[Callable[[], None]] = []
        self._timer: DelayedCall | None = None

    def start(self, ports: Sequence[tuple[Port, ListenAddress]]) -> None:
        """Begin, with all lamps to all targets and what was subscribed before a restart.

        `ports` listen already; a target that none of them reaches is logged and left out.
        """
        for port, address in ports:
            self._subscribers[port] = self._serve(port, str(address))
        for place in self._places:
            self._watch(place, ports)
        nodes = [each.node for each in self._subscribers.values()]
        self._reader = LampReader(self._waiting, nodes, self._told)
        self._endings = [
            self._bus.subscribe(MailboxChanged, self._changed),
            self._bus.subscribe(AccountChanged, self._changed),
        ]
        self._reader.start()

    async def stop(self) -> None:
        """Notify no more; what is subscribed is kept for the next start."""
        for end in self._endings:
            end()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._reader is not None:
            await self._reader.stop()
        self._reader = None
        for subscribers in self._subscribers.values():
            await subscribers.stop()

    def received(self, port: Port, event: OtherEvent) -> None:
        """What a port heard outside calls."""
        subscribers = self._subscribers[port]
        if isinstance(event, RequestAnswered):
            subscribers.questions.answered(event)
        elif isinstance(event, PeerLost):
            for core in self._cores:
                core.lost(port, event, self._clock.monotonic())
        else:
            subscribers.offered(event)
        self._work()

    # ---- the ports

    def _serve(self, port: Port, node: str) -> Subscribers:
        return Subscribers(
            Questions(port, self._clock, self._randomness),
            node,
            self._waiting,
            self._opened,
            domain=self._domain,
            clock=self._clock,
            metrics=self._metrics,
        )

    def _watch(self, place: Place, ports: Sequence[tuple[Port, ListenAddress]]) -> None:
        for port, address in ports:
            reaches = address.transport.upper() == place.hop.transport
            if reaches and (":" in address.host) == (":" in place.hop.address[0]):
                questions = self._subscribers[port].questions
                core = WatchedCore(place, questions, domain=self._domain, metrics=self._metrics)
                self._cores.append(core)
                return
        log.warning("mwi.target-not-reachable", target=place.uri)

    # ---- what changed

    def _changed(self, event: MailboxChanged | AccountChanged) -> None:
        account_id = event.account_id
        if self._cores or any(
            each.notifier.serves(account_id) for each in self._subscribers.values()
        ):
            self._bursts.touch(account_id, self._clock.monotonic())
            self._arm()

    def _opened(self, lamp: Lamp) -> None:
        """Somebody subscribed: a change between the reading and the subscription is read again."""
        self._own(lamp)
        self._bursts.touch(lamp.account_id, self._clock.monotonic())
        self._work()

    def _own(self, lamp: Lamp) -> None:
        self._owners[lamp.number] = lamp.account_id
        self._numbers.setdefault(lamp.account_id, set()).add(lamp.number)

    def _told(
        self, account_id: AccountId, lamps: list[Lamp], kept: dict[str, Subscriptions]
    ) -> None:
        """The lamps of an account are so now."""
        for subscribers in self._subscribers.values():
            subscribers.restore(account_id, kept.get(subscribers.node, ()), lamps)
        gone = self._numbers.pop(account_id, set()) - {lamp.number for lamp in lamps}
        for lamp in lamps:
            self._own(lamp)
            self._show(lamp)
        for number in sorted(gone):
            if self._owners.get(number) == account_id:  # else another account has it by now
                del self._owners[number]
                self._darken(Lamp(number, account_id))
        self._work()

    def _show(self, lamp: Lamp) -> None:
        for core in self._cores:
            core.target.want(lamp, self._clock.monotonic())
        for subscribers in self._subscribers.values():
            subscribers.update(lamp)

    def _darken(self, lamp: Lamp) -> None:
        """The number serves no more."""
        for core in self._cores:
            core.target.want(lamp, self._clock.monotonic(), gone=True)
        for subscribers in self._subscribers.values():
            subscribers.notifier.end(lamp.number)

    # ---- time

    def _work(self) -> None:
        """Send what is due, and wait for what comes next."""
        if self._reader is None:
            return
        now = self._clock.monotonic()
        self._reader.read(self._bursts.due(now))
        for core in self._cores:
            if core.send_due(now):
                core.questions.port.work()
        for subscribers in self._subscribers.values():
            if subscribers.send_due(now):
                subscribers.questions.port.work()
            subscribers.keep()
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        timers = [self._bursts.get_timer(), *(core.target.get_timer() for core in self._cores)]
        timers += [each.notifier.get_timer() for each in self._subscribers.values()]
        deadline = min((timer for timer in timers if timer is not None), default=None)
        self._timer = None
        if deadline is not None and self._reader is not None:
            delay = max(0.0, deadline - self._clock.monotonic())
            self._timer = self._reactor.callLater(delay, self._work)
