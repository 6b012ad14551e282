"""A webhook tried out: one event that means nothing, signed and posted as all others, at once.

Laws:
- It is posted by whoever asks, not by the queue: nothing is tried again, nothing is written down.
- What came back is told in the words of the queue's own errors; no answer's body is read.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from um.core.errors import NotFoundError, RelayDeferredError, RelayRefusedError
from um.core.ids import AccountId
from um.core.ports import Clock, Webhooks
from um.service.forward.rules import ForwardRules
from um.service.forward.signing import webhook_signature
from um.service.unique import UniqueIds

EVENT = "webhook.test"


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of it."""

    event_id: str
    taken: bool
    """The answer was 2xx."""
    answer: str
    """Why not; empty if it was taken."""


class WebhookTrials:
    """One object serves a process."""

    def __init__(
        self,
        rules: ForwardRules,
        webhooks: Webhooks,
        clock: Clock,
        *,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        self._rules = rules
        self._webhooks = webhooks
        self._clock = clock
        self._new_id = new_id or UniqueIds()

    async def post(self, account_id: AccountId, account_name: str) -> Trial:
        """Post a test event to the account's webhook. Raises NotFoundError if it has none."""
        webhook = await self._rules.webhook(account_id)
        if webhook is None:
            raise NotFoundError("The account has no webhook")
        now, event_id = self._clock.now(), self._new_id()
        event = {"event": EVENT, "id": event_id, "at": now.isoformat(), "account": account_name}
        body = json.dumps(event, ensure_ascii=False, sort_keys=True).encode()
        headers = {
            "content-type": "application/json",
            "x-um-event-id": event_id,
            "x-um-signature": webhook_signature(webhook.secret, int(now.timestamp()), body),
        }
        try:
            await self._webhooks.post(webhook.url, body, headers)
        except (RelayDeferredError, RelayRefusedError) as error:
            return Trial(event_id, taken=False, answer=error.public)
        return Trial(event_id, taken=True, answer="")
