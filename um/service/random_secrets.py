"""Secrets that nobody chooses: made long and random, so that a plain SHA-256 keeps them.

A cookie, a bearer token and a link have 256 bits, an app password, which people copy by hand, 100.
"""

import hmac
import re
import secrets
from hashlib import sha256

APP_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""32 letters and digits that nobody mistakes for each other: no l, o, 0 or 1."""
APP_CHARACTERS = 20
_APP_PASSWORD = re.compile(f"[{APP_ALPHABET}]{{{APP_CHARACTERS}}}")


def new_secret() -> str:
    """256 random bits, 43 characters that need no quoting in a header or an address."""
    return secrets.token_urlsafe(32)


def new_app_password() -> str:
    """`xxxxx-xxxxx-xxxxx-xxxxx`."""
    drawn = "".join(secrets.choice(APP_ALPHABET) for _ in range(APP_CHARACTERS))
    return "-".join(drawn[at : at + 5] for at in range(0, APP_CHARACTERS, 5))


def plain_app_password(typed: str) -> str | None:
    """What was typed without its hyphens and spaces; None if it cannot be an app password."""
    plain = typed.replace("-", "").replace(" ", "").lower()
    return plain if _APP_PASSWORD.fullmatch(plain) else None


def digest(secret: str) -> str:
    """What is stored of a secret: 64 hexadecimal digits."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def form_token(cookie: str) -> str:
    """What a form of this session must bring along (a synchroniser token against CSRF).

    It follows from the cookie, so that nothing more is stored, and does not tell it.
    """
    return hmac.digest(cookie.encode("utf-8", "surrogatepass"), b"form", "sha256").hex()
