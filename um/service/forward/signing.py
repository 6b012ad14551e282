"""What is proved by the house's own key: links that expire, confirmations, webhook signatures. Pure.

Laws:
- Nothing that opens a door is kept: a confirmation is known by its hash, a link by its own mac.
- Each use of the key has a name of its own, so that what proves one thing proves no other.
"""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256

LEAST_OCTETS = 32


class Signer:
    """Over one secret key of at least LEAST_OCTETS random octets, the same on every node."""

    def __init__(self, key: bytes) -> None:
        if len(key) < LEAST_OCTETS:
            raise ValueError(f"a key has at least {LEAST_OCTETS} octets")
        self._key = key

    def mac(self, use: str, *parts: str) -> str:
        """43 characters that are safe in a URL, for one use and exactly these parts."""
        message = "\0".join((use, *parts)).encode("utf-8", "surrogatepass")
        digest = hmac.new(self._key, message, sha256).digest()
        return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")

    def is_mac(self, given: str, use: str, *parts: str) -> bool:
        """Whether `given` is that mac, in constant time."""
        wanted = self.mac(use, *parts).encode()
        return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted)


def token_hash(token: str) -> str:
    """As a token is kept: 64 hexadecimal digits."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def webhook_signature(secret: str, timestamp: int, body: bytes) -> str:
    """`t=…,v1=…`: HMAC-SHA256 over the time in seconds, a dot and the body, in hexadecimal."""
    signed = str(timestamp).encode("ascii") + b"." + body
    digest = hmac.new(secret.encode("ascii"), signed, sha256).hexdigest()
    return f"t={timestamp},v1={digest}"
