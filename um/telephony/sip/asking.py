"""Requests of ours on their way: sent, challenged and sent again, given their one final answer.

INVITEs are not among them: they have ways of their own (`reinvite`).

Laws:
- Each owner's request is answered once: by a final response, or by None when none came in 32 s.
- A challenge (401, 407) is answered at most TRIES times, and only with what the wallet holds for it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from um.telephony.sip.credentials import Wallet
from um.telephony.sip.dialog import Dialog
from um.telephony.sip.layer import ClientTransaction, Hop, ResponseHeard, TransactionLayer
from um.telephony.sip.message import Field, Headers, Request, Response

TRIES: Final = 3
"""A proxy's challenge, the peer's behind it, and one for a nonce that had become stale (RFC 3261 §22)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a request of ours ended."""

    owner: str
    request: Request
    """As it was sent last: a challenge changes its number."""
    response: Response | None


@dataclass(slots=True)
class Challenged:
    """Answers the challenges to one request."""

    wallet: Wallet
    tries: int = 0

    def again(
        self, sent: ClientTransaction, response: Response | None, via: str, dialog: Dialog | None
    ) -> Request | None:
        """The request once more with credentials; None if that is of no use.

        Args:
            sent: the request that was answered.
            response: with what.
            via: of the new request.
            dialog: whose numbers it goes on with; without one it is the next number.
        """
        if response is None or response.status not in {401, 407} or self.tries >= TRIES:
            return None
        fields = self.wallet.authorize(sent.request, response, peers=sent.hop.names)
        answered = any(sent.request.headers.get(name) is not None for name, _ in fields)
        if not fields or (answered and not self.wallet.is_stale(response)):
            return None  # nothing to say, or refused and not outdated (RFC 7616 §3.3)
        self.tries += 1
        number = sent.request.cseq.number + 1
        if dialog is not None:
            dialog.local_cseq += 1
            number = dialog.local_cseq
        return _with(sent.request, via, number, fields)


def _with(request: Request, via: str, number: int, fields: tuple[Field, ...]) -> Request:
    """The same request with credentials: a new number and a new branch (RFC 3261 §22.2)."""
    dropped = {"via", "cseq", *(name for name, _ in fields)}
    headers: list[Field] = [("via", via), ("cseq", f"{number} {request.method}"), *fields]
    headers += [each for each in request.headers.fields if each[0] not in dropped]
    return replace(request, headers=Headers(tuple(headers)))


@dataclass(slots=True)
class Asking:
    """The requests of one endpoint that wait.

    Args:
        layer: carries them.
        via: makes the Via of a new request over a transport.
        wallet: what challenges are answered with.
    """

    layer: TransactionLayer
    via: Callable[[str], str]
    wallet: Wallet
    _waiting: dict[str, tuple[Challenged, Dialog | None]] = field(default_factory=dict, repr=False)

    def ask(
        self, owner: str, request: Request, hop: Hop, now: float, *, dialog: Dialog | None = None
    ) -> None:
        """Send `request`; its `Answer` comes from `hear`.

        Args:
            owner: what the answer is known by; not used for another before it came.
            request: whole, with a Via of `via`.
            hop: where to.
            now: monotonic time in seconds.
            dialog: the one it is in, whose numbers a second try goes on with.
        """
        self._waiting[owner] = Challenged(self.wallet), dialog
        self.layer.send_request(request, hop, now, owner=owner)

    def hear(self, heard: ResponseHeard, now: float) -> Answer | None:
        """Take what the layer heard; returns what ends a request, once."""
        sent, response = heard.transaction, heard.response
        if sent.owner not in self._waiting or (response is not None and response.status < 200):
            return None
        challenged, dialog = self._waiting[sent.owner]
        again = challenged.again(sent, response, self.via(sent.hop.transport), dialog)
        if again is not None:
            self.layer.send_request(again, sent.hop, now, owner=sent.owner)
            return None
        del self._waiting[sent.owner]
        return Answer(sent.owner, sent.request, response)
