"""Who is heard although no address vouches for him: cores that know a password (RFC 8760).

Laws:
- The endpoint sees nothing of a stranger but requests that were proved, and what belongs to calls
  that such a request began. All else is dropped without a word, as if nobody were here.
- An unproved request is answered at most once (401, without a transaction, so nothing repeats it),
  to the address it came from, by no more than 1.5 times its octets.
- Who guesses too often is answered no more for a while (`um.telephony.sip.guesses`).
- An ACK, a CANCEL or a BYE cannot be challenged or need not be: they pass by Call-ID and address.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from um.core.ports import Metrics
from um.telephony.randomness import Randomness, token
from um.telephony.sip.digest import Credentials, Verdict, Verifier
from um.telephony.sip.grammar import SipSyntaxError
from um.telephony.sip.guesses import Guesses
from um.telephony.sip.layer import Hop, echoed_fields, response_hop, stamp
from um.telephony.sip.message import Field, Headers, Request, Response
from um.telephony.sip.parser import MalformedMessageError, parse_message

CHALLENGED: Final = frozenset({"INVITE", "REGISTER", "SUBSCRIBE", "OPTIONS"})
AMPLIFICATION: Final = 1.5
MAX_KNOWN: Final = 10_000
"""Call-IDs of proved requests; beyond it the longest unused is forgotten."""


@dataclass(slots=True)
class Guard:
    """Stands before an endpoint, for messages from outside the trusted networks."""

    verifier: Verifier
    randomness: Randomness = field(repr=False)
    metrics: Metrics = field(repr=False)
    _known: OrderedDict[tuple[str, str], None] = field(default_factory=OrderedDict, repr=False)
    _guesses: Guesses = field(default_factory=Guesses, repr=False)

    def admit(self, data: bytes, source: Hop, now: float) -> tuple[bool, tuple[bytes, Hop] | None]:
        """Look at one framed message of a stranger; raises nothing.

        Returns:
            Whether the endpoint may have it; if not, the one answer to send, if any.
        """
        try:
            message = parse_message(data)
        except MalformedMessageError:
            return False, None
        known = (message.call_id, source.address[0])
        if isinstance(message, Response) or message.method not in CHALLENGED:
            if known in self._known:
                self._known.move_to_end(known)
                return True, None
            return False, None
        if self._guesses.too_many(source.address[0], now):
            self.metrics.count("sip_guessers_dropped")
            return False, None
        verdict = self._weigh(message, source, now)
        if verdict is Verdict.GOOD:
            self._remember(known)
            return True, None
        self.metrics.count("sip_digest_challenges")
        stale = verdict is Verdict.STALE
        return False, self._challenge(message, source, len(data), now, stale=stale)

    def _weigh(self, request: Request, source: Hop, now: float) -> Verdict:
        """The best of all credentials in the request; they must be for its own URI (§3.4.6)."""
        verdict = Verdict.BAD
        for value in request.headers.all("authorization"):
            try:
                credentials = Credentials.parse(value)
            except SipSyntaxError:
                continue
            if credentials.uri != request.uri:
                continue
            found = self.verifier.weigh(
                credentials,
                request.method,
                peer=source.address[0],
                branch=request.via.branch or "",
                now=now,
            )
            if found is Verdict.BAD:
                self.metrics.count("sip_digest_failures")
                if self.verifier.is_fresh(credentials.nonce, source.address[0], now):
                    self._guesses.note(source.address[0], now)
            elif verdict is not Verdict.GOOD:
                verdict = found
        return verdict

    def _remember(self, known: tuple[str, str]) -> None:
        self._known[known] = None
        self._known.move_to_end(known)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    def _challenge(
        self, request: Request, source: Hop, octets: int, now: float, *, stale: bool
    ) -> tuple[bytes, Hop] | None:
        """The 401 with as many challenges as fit; None when not even one does."""
        values = self.verifier.challenges(source.address[0], now, stale=stale)
        echoed = echoed_fields(stamp(request, source), token(self.randomness))
        for count in range(len(values), 0, -1):
            fields: list[Field] = [
                *echoed,
                *(("www-authenticate", value) for value in values[:count]),
            ]
            data = Response(Headers(tuple(fields)), b"", 401, "Unauthorized").encode()
            if len(data) <= AMPLIFICATION * octets:
                return data, response_hop(request, source)
        self.metrics.count("sip_challenges_too_large")
        return None
