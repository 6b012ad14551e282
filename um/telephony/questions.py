"""Requests outside calls by one SIP port: sent, timed, and given their final answers."""

from collections.abc import Callable
from typing import Protocol

from um.core.ports import Clock
from um.telephony.mwi_requests import Sender
from um.telephony.randomness import Randomness, token
from um.telephony.sip.dialog import Dialog
from um.telephony.sip.endpoint import Endpoint
from um.telephony.sip.events import RequestAnswered
from um.telephony.sip.layer import Hop
from um.telephony.sip.message import Request

Answer = Callable[[RequestAnswered, float, float], None]
"""Takes how the request ended, `now`, and the seconds that it took."""


class Port(Protocol):
    """What we use of `um.telephony.transport.SipPort`."""

    endpoint: Endpoint

    def work(self) -> None: ...


class Questions:
    """The requests of one port that wait for their answers; `name` tells them from another user's."""

    def __init__(
        self, port: Port, clock: Clock, randomness: Randomness, *, name: str = "lamp"
    ) -> None:
        self.port = port
        self._clock = clock
        self._randomness = randomness
        self._name = name
        self._waiting: dict[str, tuple[Answer, float]] = {}
        self._count = 0

    def sender(self, hop: Hop, *, secure: bool = False) -> Sender:
        """What a new request to `hop`, outside all dialogs, has of us; `secure`: by a `sips:` URI."""
        endpoint = self.port.endpoint
        call_id = f"{token(self._randomness)}@{endpoint.settings.host}"
        tag = token(self._randomness)
        contact = f"<{endpoint.uri_of(endpoint.settings.user, secure=secure)}>"
        return Sender(endpoint.new_via(hop), contact, call_id, tag)

    def ask(
        self, request: Request, hop: Hop, answer: Answer, *, dialog: Dialog | None = None
    ) -> None:
        """Send `request`; `answer` is called once. It leaves at the port's next `work`."""
        self._count += 1
        owner = f"{self._name} {self._count}"
        now = self._clock.monotonic()
        self._waiting[owner] = answer, now
        self.port.endpoint.send_request(owner, request, hop, now, dialog=dialog)

    def answered(self, event: RequestAnswered) -> None:
        """A final answer came, or the time for it is over."""
        question = self._waiting.pop(event.owner, None)
        if question is not None:  # else somebody else asked
            answer, asked_at = question
            now = self._clock.monotonic()
            answer(event, now, now - asked_at)
