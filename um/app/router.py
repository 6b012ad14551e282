"""`um.telephony.application.Router` over the services: words of a mailbox into words of SIP."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import structlog

from um.core.account import NumberUse
from um.core.errors import UMError
from um.core.ports import Metrics
from um.service.routing import CallDoor, CallPlace, CallRefusal
from um.telephony.application import CallInfo, Refusal, Route

log = structlog.get_logger(__name__)

REFUSALS: Mapping[CallRefusal, Refusal] = MappingProxyType(
    {
        CallRefusal.UNKNOWN: Refusal(404, "Not Found"),
        CallRefusal.SUSPENDED: Refusal(480, "Temporarily Unavailable", "account-suspended"),
        CallRefusal.CLOSED: Refusal(410, "Gone", "account-closed"),
        CallRefusal.OWN_CLOSED: Refusal(410, "Gone", "own-account-closed"),
        CallRefusal.VOICEMAIL_OFF: Refusal(480, "Temporarily Unavailable", "voicemail-off"),
        CallRefusal.FULL: Refusal(486, "Busy Here", "quota-exceeded"),
    }
)
"""RFC 3261 §21.4. The third part is the announcement's name (`voicemail.greeting`)."""


class ServiceRouter:
    """Finds the mailbox of a call."""

    def __init__(self, door: CallDoor, metrics: Metrics) -> None:
        self._door = door
        self._metrics = metrics

    async def route(self, candidates: list[str], info: CallInfo) -> Route | Refusal:
        """The first of `candidates` that is a number of ours; never raises."""
        try:
            decided = await self._door.decide(
                candidates, caller=info.line, is_vouched_for=info.is_vouched_for
            )
        except UMError as error:
            log.warning("call not routed", error=error.code, call_id=info.call_id)
            return Refusal(503, "Service Unavailable")
        except Exception:
            log.exception("call not routed", call_id=info.call_id)
            return Refusal(500, "Server Internal Error")
        if isinstance(decided, CallPlace):
            return Route(decided.application, decided.account, decided.number)
        self._metrics.count(f"calls_refused_{decided.reason.replace('-', '_')}")
        await self._door.note(
            decided, call_id=info.call_id, caller=info.caller_number or info.caller_name
        )
        refusal = REFUSALS[decided.reason]
        to_machine = decided.number is not None and decided.number.use is NumberUse.FAX
        if to_machine:  # a fax machine is told by the status alone
            return replace(refusal, announcement=None)
        return replace(refusal, language=decided.account.language if decided.account else "")
