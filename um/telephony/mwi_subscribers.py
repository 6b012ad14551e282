"""The subscriptions of one SIP port: SUBSCRIBEs answered, NOTIFYs sent, records kept and restored."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog

from um.core.errors import InvalidError, UMError
from um.core.ids import E164, AccountId
from um.core.ports import Clock, Metrics
from um.core.waiting import Lamp
from um.service.message_waiting import MessageWaiting, Subscriptions
from um.telephony.mwi import CONTENT_TYPE, DEFAULT_SECONDS, PACKAGE, summary
from um.telephony.mwi_requests import retry_after
from um.telephony.questions import Questions
from um.telephony.sip.admission import Reply
from um.telephony.sip.events import RequestAnswered, RequestOffered
from um.telephony.sip.notifier import Notification, Notifier
from um.telephony.sip.subscription import Asked, Package, from_record, read_subscribe
from um.telephony.sip.uri import parse_uri

log = structlog.get_logger(__name__)

_BUSY = Reply(503, "Service Unavailable", (("retry-after", "5"),))
_UNKNOWN = Reply(404, "Not Found")


class Subscribers:
    """Those who subscribed at one port.

    Args:
        questions: of that port.
        node: the port's address, under which the records are kept.
        waiting: finds lamps and keeps records.
        opened: is told of a lamp that somebody subscribed to.
        domain: of Message-Account.
        clock: both times.
        metrics: counts.
    """

    def __init__(
        self,
        questions: Questions,
        node: str,
        waiting: MessageWaiting,
        opened: Callable[[Lamp], None],
        *,
        domain: str,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.questions = questions
        self.node = node
        self.notifier = Notifier(Package(PACKAGE, CONTENT_TYPE, DEFAULT_SECONDS))
        self._waiting = waiting
        self._opened = opened
        self._domain = domain
        self._clock = clock
        self._metrics = metrics
        self._tasks: set[asyncio.Task[None]] = set()
        self._keeping: asyncio.Task[None] | None = None

    # ---- subscribers

    def offered(self, event: RequestOffered) -> None:
        """A SUBSCRIBE came."""
        now = self._clock.monotonic()
        asked = read_subscribe(event.request, self.notifier.package)
        if isinstance(asked, Reply):
            self._reply(event, asked)
        elif event.request.to.tag:
            self._reply(
                event, self.notifier.refresh(event.request, asked, now, source=event.source)
            )
        else:
            self._begin(self._open(event, asked))

    async def _open(self, event: RequestOffered, asked: Asked) -> None:
        try:
            lamp = await self._waiting.find(parse_uri(event.request.uri).number)
        except UMError as error:
            log.warning("mwi.subscriber-not-served", error=error.code)
            reply = _BUSY
        except Exception:
            log.exception("mwi.subscriber-not-served")
            reply = _BUSY
        else:
            reply = _UNKNOWN if lamp is None else self._opened_by(event, asked, lamp)
        self._reply(event, reply)
        self.send_due(self._clock.monotonic())
        self.questions.port.work()
        if lamp is not None:
            self._opened(lamp)

    def _opened_by(self, event: RequestOffered, asked: Asked, lamp: Lamp) -> Reply:
        return self.notifier.open(
            event.request,
            asked,
            self._clock.monotonic(),
            tag=event.tag,
            source=event.source,
            resource=lamp.number,
            owner=lamp.account_id,
            state=summary(lamp, self._domain),
        )

    def _reply(self, event: RequestOffered, reply: Reply) -> None:
        endpoint, now = self.questions.port.endpoint, self._clock.monotonic()
        endpoint.respond(event.name, reply.status, reply.reason, now, fields=reply.fields)

    # ---- NOTIFY

    def update(self, lamp: Lamp) -> None:
        """The lamp is so now."""
        self.notifier.update(lamp.number, summary(lamp, self._domain))

    def send_due(self, now: float) -> bool:
        """Hand over the NOTIFYs that are due; whether there were any. Records follow."""
        sending = self.notifier.due(now)
        for each in sending:
            self._notify(each)
        if sending:
            self._metrics.gauge("mwi_subscriptions", len(self.notifier))
        return bool(sending)

    def _notify(self, what: Notification) -> None:
        endpoint, hop = self.questions.port.endpoint, what.dialog.next_hop()
        request = what.dialog.request(
            "NOTIFY", endpoint.new_via(hop), endpoint.contact, fields=what.fields, body=what.body
        )
        self._metrics.count("mwi_notifies")
        self.questions.ask(request, hop, partial(self._answered, what.name), dialog=what.dialog)

    def _answered(self, name: str, event: RequestAnswered, now: float, _: float) -> None:
        response = event.response
        status = response.status if response is not None else None
        if status is None or status >= 300:
            self._metrics.count("mwi_failures")
            log.info("mwi.subscriber-failed", status=status, node=self.node)
        wait = retry_after(response) if response is not None else 0.0
        self.notifier.answered(name, status, now, wait=wait)

    # ---- records

    def restore(self, account_id: AccountId, records: Subscriptions, lamps: list[Lamp]) -> None:
        """Take up what was kept before a restart; each gets a NOTIFY."""
        by_number = {lamp.number: lamp for lamp in lamps}
        for record in records:
            lamp = by_number.get(E164(str(record.get("resource"))))
            if lamp is None:
                self.notifier.changed.add(account_id)
                continue
            self._restore(account_id, record, lamp)

    def _restore(self, account_id: AccountId, record: dict[str, Any], lamp: Lamp) -> None:
        try:
            subscription = from_record(
                record,
                owner=account_id,
                wanted=summary(lamp, self._domain),
                now=self._clock.monotonic(),
                today=self._clock.now(),
            )
        except InvalidError:
            log.warning("mwi.record-not-read", account=account_id)
            self.notifier.changed.add(account_id)
            return
        self.notifier.adopt(subscription)

    def keep(self) -> None:
        """Write the records that changed, beside everything else."""
        if self.notifier.changed and (self._keeping is None or self._keeping.done()):
            self._keeping = asyncio.create_task(self._keep_all(), name="keep subscriptions")

    async def stop(self) -> None:
        """Finish the writing, answer nobody any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.keep()
        if self._keeping is not None:
            await self._keeping

    async def _keep_all(self) -> None:
        while self.notifier.changed:
            owner = AccountId(self.notifier.changed.pop())
            records = self.notifier.records(owner, self._clock.monotonic(), self._clock.now())
            try:
                await self._waiting.keep(owner, self.node, records)
            except UMError as error:
                # The next change writes them; without one the telephone subscribes again by itself.
                log.warning("mwi.records-not-kept", account=owner, error=error.code)
            except Exception:
                log.exception("mwi.records-not-kept", account=owner)

    def _begin(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
