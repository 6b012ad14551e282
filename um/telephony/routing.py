"""From an INVITE to what the applications know: whose mailbox, who calls, why it came to us.

Mailbox candidates come from the places that `mailbox_from` names, in its order: `target` (RFC 4458),
`request-uri`, `diversion` (RFC 5806), `history-info` (RFC 7044). These are information, not protocol:
a value that does not parse counts as absent and the others count all the same. An asserted identity
is believed whole or not at all. All text that leaves here is clean of controls.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from um.mime.clean import clean_text
from um.telephony.application import CallInfo, DivertCause
from um.telephony.sip.fields import NameAddr, parse_name_addr
from um.telephony.sip.grammar import SipSyntaxError, split_list, unescape
from um.telephony.sip.message import Request
from um.telephony.sip.uri import SIP_SCHEMES, Uri, parse_uri

ANONYMOUS: Final = "anonymous"
_CAUSES: Final = {
    "302": DivertCause.UNCONDITIONAL,
    "404": DivertCause.OTHER,
    "408": DivertCause.NO_ANSWER,
    "480": DivertCause.OTHER,
    "486": DivertCause.BUSY,
    "487": DivertCause.NO_ANSWER,
    "503": DivertCause.OTHER,
}
"""RFC 4458 §2.2."""
_REASONS: Final = {
    "user-busy": DivertCause.BUSY,
    "no-answer": DivertCause.NO_ANSWER,
    "unconditional": DivertCause.UNCONDITIONAL,
    "do-not-disturb": DivertCause.UNCONDITIONAL,
    "follow-me": DivertCause.UNCONDITIONAL,
    "time-of-day": DivertCause.UNCONDITIONAL,
}
"""RFC 5806 §4."""
_HISTORY_CAUSE: Final = re.compile(r"(?i)\bSIP\s*;\s*cause\s*=\s*(\d{3})")


def candidates(request: Request, order: Sequence[str]) -> list[str]:
    """Names that may choose the mailbox, the most trusted first, each once."""
    found = [name for place in order for name in _PLACES[place](request)]
    return list(dict.fromkeys(name for name in map(clean_text, found) if name))


def call_info(
    request: Request,
    *,
    dialled: str,
    peer: str,
    normalise: Callable[[str], str],
    asserted: bool = True,
) -> CallInfo:
    """What is known of the call.

    Args:
        request: the INVITE.
        dialled: the candidate that chose the mailbox.
        peer: address of the core.
        normalise: a number to E.164 where possible, else unchanged.
        asserted: P-Asserted-Identity of this core is believed (RFC 3325 §5).
    """
    known = _addresses(request, "p-asserted-identity") if asserted else []
    number, name = _caller(request, known)
    line = next(filter(None, map(_number, [*known, request.from_])), "")
    return CallInfo(
        call_id=clean_text(request.call_id),
        dialled=dialled,
        caller_number=normalise(number) if number else "",
        caller_name=name,
        cause=_cause(request),
        peer=peer,
        line=normalise(line) if line else "",
        is_vouched_for=any(map(_number, known)),
    )


# ---- the places


def _target(request: Request) -> list[str]:
    """`target=` may be an address, a URI or a bare number (RFC 4458 §6)."""
    value = parse_uri(request.uri).parameter("target")
    return [_user_of(value)] if value else []


def _request_uri(request: Request) -> list[str]:
    return [parse_uri(request.uri).number]


def _diversion(request: Request) -> list[str]:
    """The latest diversion stands first (RFC 5806 §3.1)."""
    return [entry.uri.number for entry in _readable(request, "diversion")]


def _history(request: Request) -> list[str]:
    """The latest entry stands last; an entry may carry a `target` of its own (RFC 4458 §3)."""
    names: list[str] = []
    for entry in reversed(_readable(request, "history-info")):
        target = entry.uri.parameter("target")
        names += [_user_of(target)] if target else []
        names.append(entry.uri.number)
    return names


_PLACES: Final[dict[str, Callable[[Request], list[str]]]] = {
    "target": _target,
    "request-uri": _request_uri,
    "diversion": _diversion,
    "history-info": _history,
}
MAILBOX_PLACES: Final = tuple(_PLACES)
"""What `mailbox_from` may hold."""


def _user_of(value: str) -> str:
    try:
        return (
            parse_uri(value).number if ":" in value else parse_uri(f"sip:{value}").number or value
        )
    except SipSyntaxError:
        return value.partition("@")[0]


def _addresses(request: Request, name: str) -> list[NameAddr]:
    try:
        return request.addresses(name)
    except SipSyntaxError:
        return []


def _readable(request: Request, name: str) -> list[NameAddr]:
    """The values that parse: one core on the way may have spoilt its own and no other."""
    found: list[NameAddr] = []
    for field in request.headers.all(name):
        with suppress(SipSyntaxError):  # of a list that cannot be split
            for value in split_list(field):
                with suppress(SipSyntaxError):
                    found.append(parse_name_addr(value))
    return found


# ---- the caller


def _caller(request: Request, known: Sequence[NameAddr]) -> tuple[str, str]:
    """Number and name; ("", "anonymous") when withheld (RFC 3323 §4.1, RFC 3325 §9.3)."""
    privacy = {
        value.strip().lower()
        for field in request.headers.all("privacy")
        for value in field.split(";")
    }
    if privacy & {"id", "user", "header"}:
        return "", ANONYMOUS
    identities = [*known, request.from_]
    number = next((value for value in map(_number, identities) if value), "")
    name = next((value for value in (clean_text(each.display) for each in identities) if value), "")
    if not known and _is_anonymous(request.from_):
        return "", ANONYMOUS
    return number, ("" if name.lower() == ANONYMOUS else name)


def _number(identity: NameAddr) -> str:
    uri: Uri = identity.uri
    if uri.scheme not in SIP_SCHEMES | {"tel"} or _is_anonymous(identity):
        return ""
    return clean_text(uri.number)


def _is_anonymous(identity: NameAddr) -> bool:
    uri = identity.uri
    return uri.host.lower().endswith("anonymous.invalid") or uri.user.lower() == ANONYMOUS


# ---- the reason


def _cause(request: Request) -> DivertCause:
    """RFC 4458 `cause` first, then Diversion's reason, then History-Info."""
    cause = parse_uri(request.uri).parameter("cause")
    if cause:
        return _CAUSES.get(cause, DivertCause.OTHER)
    diversions = _readable(request, "diversion")
    if diversions:
        reason = (diversions[0].parameter("reason") or "").lower()
        return _REASONS.get(reason, DivertCause.OTHER)
    for entry in reversed(_readable(request, "history-info")):
        found = _HISTORY_CAUSE.search(unescape(entry.uri.headers))
        cause = entry.uri.parameter("cause") or (found[1] if found else None)
        if cause:
            return _CAUSES.get(cause, DivertCause.OTHER)
    return DivertCause.DIRECT
