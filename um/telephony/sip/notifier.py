"""The notifier of one event package (RFC 6665 §4.2): SUBSCRIBE and states in, NOTIFYs out.

Laws:
- After every accepted SUBSCRIBE one NOTIFY, and then one when the state differs from what the
  subscriber took last; never two under way in one subscription.
- A subscription ends by its time, by Expires 0, by an answer that says it is gone, or with its
  resource; whenever the subscriber may still listen it is told `terminated`.
- A subscriber that does not answer is tried again until RETRY_SECONDS are used up. §4.2.2 would
  remove it at once, but then one short outage of a proxy leaves its telephones dark for an hour.
- Not more than PORTION NOTIFYs leave in PACE_SECONDS; the rest waits its turn.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from um.telephony.sip.admission import Reply
from um.telephony.sip.dialog import Dialog, DialogKey, accept_dialog
from um.telephony.sip.layer import Hop
from um.telephony.sip.message import Field, Request
from um.telephony.sip.subscription import Asked, Package, Subscription, to_record
from um.telephony.sip.timers import Timers

RETRY_SECONDS: Final = (2.0, 8.0, 30.0, 120.0, 300.0)
GONE: Final = frozenset({404, 405, 410, 416, *range(480, 486), 489, 501, 604})
"""Answers to a NOTIFY that end the subscription (§4.2.2)."""
PORTION: Final = 50
PACE_SECONDS: Final = 0.25
MAX_SUBSCRIPTIONS: Final = 20_000
MAX_OF_RESOURCE: Final = 50
_CROWDED: Final = "giveup;retry-after=3600"

Key = tuple[DialogKey, str]


@dataclass(frozen=True, slots=True)
class Notification:
    """A NOTIFY to be sent in a dialog; its answer is told to `Notifier.answered` by `name`."""

    name: str
    dialog: Dialog
    fields: tuple[Field, ...]
    body: bytes


@dataclass(slots=True)
class Notifier:
    """The engine. After each use, and at `get_timer`, ask `due`."""

    package: Package
    changed: set[str] = field(default_factory=set)
    """Owners whose `records` differ from what was kept; the user empties it."""
    _by_key: dict[Key, Subscription] = field(default_factory=dict, repr=False)
    """Those that live."""
    _by_name: dict[str, Subscription] = field(default_factory=dict, repr=False)
    """Those that live, and those whose last NOTIFY is yet to be answered."""
    _by_resource: dict[str, dict[str, Subscription]] = field(default_factory=dict, repr=False)
    _by_owner: dict[str, dict[str, Subscription]] = field(default_factory=dict, repr=False)
    _ready: OrderedDict[str, None] = field(default_factory=OrderedDict, repr=False)
    _timers: Timers[tuple[str, str]] = field(default_factory=Timers, repr=False)
    _portion: int = PORTION

    def __len__(self) -> int:
        """How many subscriptions live."""
        return len(self._by_key)

    def serves(self, owner: str) -> bool:
        """Whether any subscription is to a resource of `owner`."""
        return owner in self._by_owner

    def of(self, resource: str) -> list[Subscription]:
        """Those that live, of one resource, the oldest first."""
        return [each for each in self._by_resource.get(resource, {}).values() if not each.ending]

    # ---- subscribers

    def refresh(self, request: Request, asked: Asked, now: float, *, source: Hop) -> Reply:
        """Answer a SUBSCRIBE inside a dialog (§4.2.1.4)."""
        dialog_key = request.call_id, request.to.tag or "", request.from_.tag or ""
        subscription = self._by_key.get((dialog_key, asked.event_id))
        if subscription is None:
            return Reply(481, "Subscription Does Not Exist")
        if not subscription.dialog.in_order(request):
            return Reply(500, "CSeq Out of Order")
        subscription.dialog.refresh_target(request, source)
        return self._accept(subscription, asked, now)

    def open(
        self,
        request: Request,
        asked: Asked,
        now: float,
        *,
        tag: str,
        source: Hop,
        resource: str,
        owner: str,
        state: bytes,
    ) -> Reply:
        """Answer a SUBSCRIBE that makes a dialog.

        Args:
            request: the SUBSCRIBE, read by `read_subscribe`.
            asked: what it asks.
            now: seconds of the monotonic clock.
            tag: our To tag of the 200.
            source: where it came from.
            resource: what it is about.
            owner: whose that is.
            state: the body of NOTIFY that holds now.
        """
        if len(self._by_name) >= MAX_SUBSCRIPTIONS:
            return Reply(503, "Service Unavailable", (("retry-after", "60"),))
        dialog = accept_dialog(request, tag, source)
        subscription = Subscription(resource, owner, dialog, asked.event_id, now, state)
        known = self.of(resource)
        if len(known) >= MAX_OF_RESOURCE:
            self._end(known[0], _CROWDED)
        self.adopt(subscription)
        return self._accept(subscription, asked, now)

    def adopt(self, subscription: Subscription) -> None:
        """Take up a subscription, such as one from its record; its NOTIFY follows."""
        self._by_key[subscription.key] = subscription
        self._by_name[subscription.name] = subscription
        self._by_resource.setdefault(subscription.resource, {})[subscription.name] = subscription
        self._by_owner.setdefault(subscription.owner, {})[subscription.name] = subscription
        self._timers.set(("expire", subscription.name), subscription.expires_at)
        self._consider(subscription)

    def answered(self, name: str, status: int | None, now: float, *, wait: float = 0) -> None:
        """A NOTIFY was answered finally, or (None) not at all; `wait` is Retry-After."""
        subscription = self._by_name[name]
        flying, subscription.flying = subscription.flying, None
        said_last = not subscription.forced and bool(subscription.ending)
        if said_last or status in GONE:
            self._remove(subscription)
        elif status is not None and status < 300:
            subscription.told, subscription.failures = flying, 0
            self._consider(subscription)
        elif subscription.failures >= len(RETRY_SECONDS):
            self._remove(subscription)
        else:
            delay = RETRY_SECONDS[subscription.failures]
            subscription.failures += 1
            subscription.told, subscription.forced = None, True
            self._timers.set(("retry", name), now + max(delay, wait))

    # ---- the resource

    def update(self, resource: str, state: bytes) -> None:
        """The state of a resource is so now."""
        for subscription in self.of(resource):
            subscription.wanted = state
            self._consider(subscription)

    def end(self, resource: str) -> None:
        """There is no such resource any more."""
        for subscription in self.of(resource):
            self._end(subscription, "noresource")

    def records(self, owner: str, now: float, today: datetime) -> list[dict[str, Any]]:
        """The records of all that live of `owner`; the two instants are the same."""
        living = self._by_owner.get(owner, {}).values()
        return [to_record(each, now, today) for each in living if not each.ending]

    # ---- time

    def due(self, now: float) -> list[Notification]:
        """The NOTIFYs that are to be sent now."""
        for kind, name in self._timers.due(now):
            self._expire(kind, name)
        sending: list[Notification] = []
        while self._ready and self._portion:
            name, _ = self._ready.popitem(last=False)
            self._portion -= 1
            self._timers.set(("pace", ""), now + PACE_SECONDS)
            sending.append(self._notification(self._by_name[name], now))
        return sending

    def get_timer(self) -> float | None:
        """When `due` wants to be called, or None."""
        return self._timers.earliest()

    # ---- what follows

    def _accept(self, subscription: Subscription, asked: Asked, now: float) -> Reply:
        subscription.expires_at = now + asked.seconds
        subscription.forced, subscription.failures = True, 0
        self._timers.set(("expire", subscription.name), subscription.expires_at)
        self.changed.add(subscription.owner)
        if asked.seconds == 0:
            self._end(subscription, "timeout")
        self._consider(subscription)
        return Reply(200, "OK", (("expires", str(asked.seconds)),))

    def _expire(self, kind: str, name: str) -> None:
        if kind == "pace":
            self._portion = PORTION
            return
        subscription = self._by_name.get(name)
        if subscription is None:
            return
        if kind == "expire":
            self._end(subscription, "timeout")
        else:
            self._consider(subscription)

    def _end(self, subscription: Subscription, reason: str) -> None:
        """It lives no more; one NOTIFY is still to say so."""
        if subscription.ending:
            return
        subscription.ending, subscription.forced = reason, True
        self._by_key.pop(subscription.key, None)
        self._timers.cancel(("expire", subscription.name))
        self.changed.add(subscription.owner)
        self._consider(subscription)

    def _consider(self, subscription: Subscription) -> None:
        """Queue it if its subscriber must hear of it."""
        self._timers.cancel(("retry", subscription.name))
        if subscription.due:
            self._ready[subscription.name] = None

    def _notification(self, subscription: Subscription, now: float) -> Notification:
        subscription.flying, subscription.forced = subscription.wanted, False
        event = self.package.name + (
            f";id={subscription.event_id}" if subscription.event_id else ""
        )
        fields = (
            ("event", event),
            ("subscription-state", subscription.state(now)),
            ("content-type", self.package.content_type),
        )
        return Notification(subscription.name, subscription.dialog, fields, subscription.wanted)

    def _remove(self, subscription: Subscription) -> None:
        if not subscription.ending:
            self.changed.add(subscription.owner)
        self._by_key.pop(subscription.key, None)
        self._by_name.pop(subscription.name, None)
        self._ready.pop(subscription.name, None)
        for kind in ("expire", "retry"):
            self._timers.cancel((kind, subscription.name))
        _drop(self._by_resource, subscription.resource, subscription.name)
        _drop(self._by_owner, subscription.owner, subscription.name)


def _drop(index: dict[str, dict[str, Subscription]], key: str, name: str) -> None:
    index.get(key, {}).pop(name, None)
    if not index.get(key):
        index.pop(key, None)
