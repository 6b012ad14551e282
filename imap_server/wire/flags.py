"""Flags that a client wants stored (RFC 3501 §2.3.2, §9 `flag-list`)."""

from collections.abc import Sequence

from imap_server.wire.tokens import BadCommandError
from um.core.message import SYSTEM_FLAGS

MAX_FLAGS = 64
_SYSTEM = {flag.lower(): flag for flag in SYSTEM_FLAGS}


def storable(written: Sequence[str]) -> tuple[str, ...]:
    r"""The flags as they are stored, each once; an unknown `\` flag is BAD."""
    if len(written) > MAX_FLAGS:
        raise BadCommandError("Too many flags")
    return tuple(dict.fromkeys(_known(flag) for flag in written))


def appended(written: Sequence[str]) -> tuple[str, ...]:
    r"""As `storable`: clients copy all flags they saw, and \Recent means nothing here."""
    return storable([flag for flag in written if flag.lower() != "\\recent"])


def _known(flag: str) -> str:
    if not flag.startswith("\\"):
        return flag
    known = _SYSTEM.get(flag.lower())
    if known is None:
        raise BadCommandError("Unknown system flag")
    return known
