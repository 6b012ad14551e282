"""Key presses in SIP INFO (RFC 6086 §A, legacy use): two bodies that everybody knows, no standard.

`application/dtmf-relay` is `Signal=5` and `Duration=160` on lines of their own; `application/dtmf`
is the key alone. Any octets give a digit or None.
"""

from typing import Final

from um.telephony.rtp.dtmf import DIGITS

DTMF_RELAY: Final = "application/dtmf-relay"
DTMF: Final = "application/dtmf"
TYPES: Final = (DTMF_RELAY, DTMF)
_MAX_OCTETS: Final = 512


def read_digit(content_type: str, body: bytes) -> str | None:
    """The key that an INFO tells of, or None.

    Args:
        content_type: as in the header, parameters and all.
        body: the whole body.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in TYPES or len(body) > _MAX_OCTETS:
        return None
    text = body.decode("ascii", "replace")
    return _digit(_signal(text) if kind == DTMF_RELAY or "=" in text else text)


def _signal(text: str) -> str:
    for line in text.replace("\r", "\n").split("\n"):
        name, _, value = line.partition("=")
        if name.strip().lower() == "signal":
            return value
    return ""


def _digit(text: str) -> str | None:
    """`5`, `*`, `#`, `A`; also the event numbers 10 (`*`) and 11 (`#`) that some send."""
    key = text.strip().upper()
    if key in {"10", "11"}:
        return DIGITS[int(key)]
    return key if len(key) == 1 and key in DIGITS else None
