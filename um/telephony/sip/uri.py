"""URIs in SIP messages: sip, sips (RFC 3261 §19.1) and tel (RFC 3966); others are kept as text."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from um.telephony.sip.grammar import (
    Parameters,
    SipSyntaxError,
    parameter,
    parse_host_port,
    unescape,
)

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):(.+)", re.DOTALL)
_FORBIDDEN: Final = re.compile(r'[\x00-\x20"<>\x7f]')
_VISUAL_SEPARATORS: Final = str.maketrans("", "", "-.() ")
SIP_SCHEMES: Final = frozenset({"sip", "sips"})


@dataclass(frozen=True, slots=True)
class Uri:
    """A URI. `text` is what was received and what is sent on; the rest is read from it.

    `user` is unescaped; of a tel URI it is the number, with `host` empty. Of an unknown scheme
    only `scheme` and `text` mean anything.
    """

    text: str
    scheme: str
    user: str = ""
    host: str = ""
    port: int | None = None
    parameters: Parameters = ()
    headers: str = ""
    """What follows `?`, without it."""

    def parameter(self, name: str) -> str | None:
        """Value of a URI parameter, unescaped; "" if it has none, None if it is not there."""
        return parameter(self.parameters, name)

    @property
    def number(self) -> str:
        """The user part without a number's visual separators and without user parameters."""
        name = self.user.partition(";")[0]
        plain = name.translate(_VISUAL_SEPARATORS)
        return plain if plain.lstrip("+").isdigit() else name


@lru_cache(maxsize=512)
def parse_uri(text: str) -> Uri:
    """Read one URI, without angle brackets. Raises SipSyntaxError."""
    if _FORBIDDEN.search(text):
        raise SipSyntaxError("Malformed URI")
    found = _SCHEME.fullmatch(text)
    if found is None:
        raise SipSyntaxError("Malformed URI")
    scheme, rest = found[1].lower(), found[2]
    if scheme in SIP_SCHEMES:
        return _parse_sip(text, scheme, rest)
    if scheme == "tel":
        number, _, tail = rest.partition(";")
        return Uri(text, scheme, user=unescape(number), parameters=_parameters(tail))
    return Uri(text, scheme)


def _parse_sip(text: str, scheme: str, rest: str) -> Uri:
    # The user part may hold `;` and `?` (RFC 4475 §3.1.1.9), so it is cut off first. An `@` that
    # a sender forgot to escape in a parameter (RFC 4458 examples) stays in that parameter.
    userinfo, at, place = rest.partition("@")
    if not at:
        userinfo, place = "", rest
    elif not userinfo:
        raise SipSyntaxError("Empty user in URI")
    place, _, headers = place.partition("?")
    place, _, tail = place.partition(";")
    host, port = parse_host_port(place)
    user = unescape(userinfo.partition(":")[0])
    return Uri(text, scheme, user, host, port, _parameters(tail), headers)


def _parameters(tail: str) -> Parameters:
    if not tail:
        return ()
    parameters: list[tuple[str, str | None]] = []
    for item in tail.split(";"):
        name, equals, value = item.partition("=")
        if not name:
            raise SipSyntaxError("Empty URI parameter")
        parameters.append((unescape(name).lower(), unescape(value) if equals else None))
    return tuple(parameters)
