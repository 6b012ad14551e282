"""Digest authentication of a user agent server (RFC 8760, RFC 7616): the arithmetic and the nonces.

Laws:
- SHA-256 before MD5, `qop=auth` always; what lacks a nonce count is no credential.
- A nonce carries its own time and our seal for one peer; nothing is kept of one that was never
  used rightly. Each count is good for one request and its retransmissions.
- Passwords are kept as H(A1) only, and nothing of them is ever shown.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Self

from um.telephony.randomness import Randomness, token
from um.telephony.sip.grammar import SipSyntaxError, quote, split_list, unquote

ALGORITHMS: Final[Mapping[str, str]] = {"SHA-256": "sha256", "MD5": "md5"}
"""By the name in the field: hashlib's; the most wanted first (RFC 8760 §2.3)."""
NONCE_SECONDS: Final = 300.0
RETRANSMISSION_SECONDS: Final = 32.0
"""64*T1: as long as a request may be sent again (RFC 3261 §17)."""
MAX_NONCES: Final = 10_000
_SEAL_DIGITS: Final = 24


class Verdict(Enum):
    """What credentials are worth."""

    GOOD = "good"
    STALE = "stale"
    """Right, but for a nonce or a count that is no longer good: ask again (`stale=true`)."""
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Credentials:
    """One Authorization field (RFC 7616 §3.4)."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str
    cnonce: str
    count: str
    """`nc` as written: eight hexadecimal digits."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the value of an Authorization field. Raises SipSyntaxError."""
        scheme, _, rest = text.partition(" ")
        values: dict[str, str] = {}
        for item in split_list(rest):
            name, equals, value = item.partition("=")
            name, value = name.strip().lower(), value.strip()
            if not equals or name in values:
                raise SipSyntaxError("Malformed Authorization")
            values[name] = unquote(value)
        if scheme.lower() != "digest" or values.get("qop", "").lower() != "auth":
            raise SipSyntaxError("Not digest with qop=auth")
        count = values.get("nc", "")
        if len(count) != 8 or not set(count.lower()) <= set("0123456789abcdef"):
            raise SipSyntaxError("Malformed nonce count")
        needed = ("username", "realm", "nonce", "uri", "response")
        given = {name: values.get(name, "") for name in (*needed, "cnonce")}
        algorithm = values.get("algorithm", "MD5").upper()
        return cls(**given, algorithm=algorithm, count=count)


def secret_of(algorithm: str, username: str, realm: str, password: str) -> str:
    """H(A1) (RFC 7616 §3.4.2), in lower case hexadecimal."""
    return _hash(algorithm, f"{username}:{realm}:{password}")


def expected_response(credentials: Credentials, method: str, secret: str) -> str:
    """The `response` of who knows the password (§3.4.1, qop=auth; without a count RFC 2069)."""
    algorithm = credentials.algorithm
    request = _hash(algorithm, f"{method}:{credentials.uri}")
    if not credentials.count:
        return _hash(algorithm, f"{secret}:{credentials.nonce}:{request}")
    parts = (secret, credentials.nonce, credentials.count, credentials.cnonce, "auth", request)
    return _hash(algorithm, ":".join(parts))


def _hash(algorithm: str, text: str) -> str:
    octets = text.encode("utf-8", "surrogateescape")
    return hashlib.new(ALGORITHMS[algorithm], octets, usedforsecurity=False).hexdigest()


@dataclass(slots=True)
class _Use:
    """The highest count of a nonce, and which request had it."""

    count: int
    branch: str
    at: float


@dataclass(slots=True)
class Verifier:
    """Makes nonces and weighs credentials.

    Args:
        realm: of all challenges.
        passwords: by user name.
        randomness: seals the nonces; those of an earlier run are stale.
    """

    realm: str
    passwords: Mapping[str, str] = field(repr=False)
    randomness: Randomness = field(repr=False)
    _secrets: dict[tuple[str, str], str] = field(init=False, repr=False)
    _key: bytes = field(init=False, repr=False)
    _uses: dict[str, _Use] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._key = token(self.randomness, 256).encode()
        self._secrets = {
            (name, algorithm): secret_of(algorithm, name, self.realm, password)
            for name, password in self.passwords.items()
            for algorithm in ALGORITHMS
        }
        self.passwords = {}

    def challenges(self, peer: str, now: float, *, stale: bool = False) -> list[str]:
        """Values of WWW-Authenticate for `peer` (an IP address), the most wanted first."""
        nonce = self._nonce(peer, int(now))
        tail = ", stale=true" if stale else ""
        return [
            f'Digest realm={quote(self.realm)}, nonce="{nonce}", qop="auth", algorithm={name}{tail}'
            for name in ALGORITHMS
        ]

    def weigh(
        self, credentials: Credentials, method: str, *, peer: str, branch: str, now: float
    ) -> Verdict:
        """Whether `peer` knows the password, and says so for the first time with this count.

        `branch` is that of the request's Via: with it the same count is a retransmission.
        """
        secret = self._secrets.get((credentials.username, credentials.algorithm))
        if secret is None or credentials.realm != self.realm:
            return Verdict.BAD
        right = expected_response(credentials, method, secret)
        given = credentials.response.lower().encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(right.encode(), given):
            return Verdict.BAD
        fresh = self.is_fresh(credentials.nonce, peer, now)
        return Verdict.GOOD if fresh and self._use(credentials, branch, now) else Verdict.STALE

    def is_fresh(self, nonce: str, peer: str, now: float) -> bool:
        """Whether the nonce was made for `peer`, and lately: then a challenge had reached it."""
        seconds = _time_of(nonce)
        if not 0 <= now - seconds <= NONCE_SECONDS:
            return False
        ours = self._nonce(peer, seconds).encode()
        return hmac.compare_digest(ours, nonce.encode("utf-8", "surrogateescape"))

    def _use(self, credentials: Credentials, branch: str, now: float) -> bool:
        """Count one use; False for a count that was used before by another request."""
        count, use = int(credentials.count, 16), self._uses.get(credentials.nonce)
        if use is not None and count <= use.count:
            again = count == use.count and branch == use.branch
            return again and now <= use.at + RETRANSMISSION_SECONDS
        if use is None and len(self._uses) >= MAX_NONCES:
            self._forget_old(now)
        self._uses[credentials.nonce] = _Use(count, branch, now)
        return True

    def _forget_old(self, now: float) -> None:
        """A nonce that is no longer fresh needs no memory; should all be, the oldest half goes."""
        old = [nonce for nonce in self._uses if now > _time_of(nonce) + NONCE_SECONDS]
        for nonce in old or list(self._uses)[: MAX_NONCES // 2]:
            del self._uses[nonce]

    def _nonce(self, peer: str, seconds: int) -> str:
        stamp = f"{seconds:010x}"
        seal = hmac.new(self._key, f"{stamp} {peer}".encode(), hashlib.sha256).hexdigest()
        return stamp + seal[:_SEAL_DIGITS]


def _time_of(nonce: str) -> int:
    """The second in which a nonce was made; -1 if it cannot be ours."""
    try:
        return int(nonce[:10], 16) if len(nonce) == 10 + _SEAL_DIGITS else -1
    except ValueError:
        return -1
