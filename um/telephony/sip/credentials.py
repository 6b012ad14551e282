"""Digest authentication of a user agent client (RFC 8760, RFC 7616, RFC 3261 §22): answers to challenges.

Laws:
- A password answers only the realm, or the host, that it is for; it is never shown.
- Of the challenges of one realm the first that we can answer counts (RFC 8760 §2.4).
- A nonce that is given again is answered with the next count.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from um.telephony.randomness import Randomness, token
from um.telephony.sip.digest import ALGORITHMS, Credentials, expected_response, secret_of
from um.telephony.sip.grammar import SipSyntaxError, quote, split_list, unquote
from um.telephony.sip.message import Field, Request, Response

_FIELDS: Final = {
    401: ("www-authenticate", "authorization"),
    407: ("proxy-authenticate", "proxy-authorization"),
}


@dataclass(frozen=True, slots=True)
class Credential:
    """One name and password, and whom they are for: a realm, or whoever asks at a host."""

    username: str
    password: str = field(repr=False)
    realm: str = ""
    host: str = ""
    """A name or an IP address; "" when a realm is given."""

    def fits(self, realm: str, peers: frozenset[str]) -> bool:
        """Whether a challenge of `realm` by who is called `peers` may be answered with it."""
        return realm == self.realm if self.realm else bool(self.host) and self.host in peers


@dataclass(frozen=True, slots=True)
class Challenge:
    """One WWW-Authenticate or Proxy-Authenticate field (RFC 7616 §3.3)."""

    realm: str
    nonce: str
    algorithm: str
    qop: bool
    """`auth` is offered; without any qop the digest is that of RFC 2069."""
    opaque: str | None
    stale: bool


def read_challenges(response: Response) -> list[Challenge]:
    """Those we can answer, in the order given; what does not parse counts as absent."""
    name = _FIELDS.get(response.status, ("", ""))[0]
    return [found for value in response.headers.all(name) if (found := _challenge(value))]


def _challenge(text: str) -> Challenge | None:
    scheme, _, rest = text.strip().partition(" ")
    values: dict[str, str] = {}
    try:
        for item in split_list(rest):
            name, _, value = item.partition("=")
            values.setdefault(name.strip().lower(), unquote(value.strip()))
    except SipSyntaxError:
        return None
    algorithm = values.get("algorithm", "MD5").upper()
    offered = [each.strip().lower() for each in values.get("qop", "").split(",") if each.strip()]
    usable = scheme.lower() == "digest" and algorithm in ALGORITHMS and "nonce" in values
    if not usable or (offered and "auth" not in offered):
        return None
    return Challenge(
        realm=values.get("realm", ""),
        nonce=values["nonce"],
        algorithm=algorithm,
        qop=bool(offered),
        opaque=values.get("opaque"),
        stale=values.get("stale", "").lower() == "true",
    )


@dataclass(slots=True)
class Wallet:
    """What challenges are answered with."""

    randomness: Randomness = field(repr=False)
    credentials: Sequence[Credential] = ()
    _last: dict[Credential, tuple[str, int]] = field(default_factory=dict, repr=False)

    def is_stale(self, response: Response) -> bool:
        """Whether the challenge only wants a newer nonce."""
        return any(each.stale for each in read_challenges(response))

    def authorize(
        self, request: Request, response: Response, *, peers: frozenset[str]
    ) -> tuple[Field, ...]:
        """The fields that answer `response`, one for each realm; none if there is nothing to say.

        Args:
            request: what was challenged.
            response: the 401 or 407.
            peers: what who challenged is called: its address, its name.
        """
        name = _FIELDS.get(response.status, ("", ""))[1]
        return tuple((name, value) for value in self._answers(request, response, peers))

    def _answers(
        self, request: Request, response: Response, peers: frozenset[str]
    ) -> Iterator[str]:
        realms: set[str] = set()
        for challenge in read_challenges(response):
            fitting = [c for c in self.credentials if c.fits(challenge.realm, peers)]
            same = [c for c in fitting if c.username == request.from_.uri.user]
            found = next(iter(same or fitting), None)
            if found is None or challenge.realm in realms:
                continue
            realms.add(challenge.realm)
            yield self._answer(request, challenge, found)

    def _answer(self, request: Request, challenge: Challenge, credential: Credential) -> str:
        nonce, count = self._last.get(credential, ("", 0))
        count = count + 1 if nonce == challenge.nonce else 1
        self._last[credential] = challenge.nonce, count
        given = Credentials(
            username=credential.username,
            realm=challenge.realm,
            nonce=challenge.nonce,
            uri=request.uri,
            response="",
            algorithm=challenge.algorithm,
            cnonce=token(self.randomness) if challenge.qop else "",
            count=f"{count:08x}" if challenge.qop else "",
        )
        secret = secret_of(
            challenge.algorithm, credential.username, challenge.realm, credential.password
        )
        return _written(given, expected_response(given, request.method, secret), challenge.opaque)


def _written(given: Credentials, response: str, opaque: str | None) -> str:
    """The value of the field (RFC 7616 §3.4)."""
    parts = [
        f"Digest username={quote(given.username)}",
        f"realm={quote(given.realm)}",
        f"nonce={quote(given.nonce)}",
        f"uri={quote(given.uri)}",
        f'response="{response}"',
        f"algorithm={given.algorithm}",
    ]
    if given.count:
        parts += ["qop=auth", f"nc={given.count}", f"cnonce={quote(given.cnonce)}"]
    if opaque is not None:
        parts.append(f"opaque={quote(opaque)}")
    return ", ".join(parts)
