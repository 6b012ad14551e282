"""A configured core on the wire: its engine (`mwi_target`) joined with the port that reaches it."""

from functools import partial

import structlog

from um.core.ids import E164
from um.core.ports import Metrics
from um.core.waiting import Lamp
from um.telephony.mwi_requests import Place, Sender, notification, ping, retry_after
from um.telephony.mwi_target import Ping, Target
from um.telephony.questions import Port, Questions
from um.telephony.sip.events import PeerLost, RequestAnswered

log = structlog.get_logger(__name__)


class WatchedCore:
    """One of `mwi_targets`."""

    def __init__(
        self, place: Place, questions: Questions, *, domain: str, metrics: Metrics
    ) -> None:
        self.target = Target()
        self.questions = questions
        self._place = place
        self._domain = domain
        self._metrics = metrics

    def send_due(self, now: float) -> bool:
        """Hand over what is due; whether there was anything."""
        sending = self.target.due(now)
        for each in sending:
            if isinstance(each, Ping):
                request = ping(self._place, self._domain, self._sender())
                self.questions.ask(request, self._place.hop, self._ping_answered)
            else:
                self._notify(each)
        return bool(sending)

    def lost(self, port: Port, event: PeerLost, now: float) -> None:
        """A connection of `port` broke."""
        ours = (event.peer, event.name) == (self._place.hop.address, self._place.hop.name)
        if port is self.questions.port and ours:
            self.target.suspect(now)

    def _sender(self) -> Sender:
        """RFC 3261 §8.1.1.8: a `sips:` Contact where the target is one."""
        secure = self._place.uri.lower().startswith("sips:")
        return self.questions.sender(self._place.hop, secure=secure)

    def _notify(self, lamp: Lamp) -> None:
        sender = self._sender()
        request = notification(self._place, lamp, self._domain, sender)
        self._metrics.count("mwi_notifies")
        self.questions.ask(request, self._place.hop, partial(self._answered, lamp.number))

    def _answered(self, number: E164, event: RequestAnswered, now: float, took: float) -> None:
        response = event.response
        was_away = self.target.away
        status = response.status if response is not None else None
        wait = retry_after(response) if response is not None else 0.0
        self.target.answered(number, status, now, took=took, wait=wait)
        if status is None or status >= 300:
            self._metrics.count("mwi_failures")
            log.info("mwi.not-taken", target=self._place.uri, number=number, status=status)
        self._tell(was_away=was_away)

    def _ping_answered(self, event: RequestAnswered, now: float, took: float) -> None:
        response = event.response
        was_away = self.target.away
        status = response.status if response is not None else None
        self.target.ping_answered(status, now, took=took)
        self._tell(was_away=was_away)

    def _tell(self, *, was_away: bool) -> None:
        if self.target.away != was_away:
            event = "mwi.target-away" if self.target.away else "mwi.target-back"
            log.warning(event, target=self._place.uri)
