"""A blind transfer that we ask for (RFC 3515, RFC 5589 §6), as a table.

REFER, its answer, and the NOTIFYs that tell how the referred call fares. Knows no messages' way.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from um.telephony.sip.message import Request

LONGEST_SECONDS: Final = 120.0
"""For the whole of it: a transferee that rings an operator tells of the answer, which takes time."""
_STATUS: Final = re.compile(rb"SIP/2\.0 (\d{3})(?: |\r|\n|$)")
_EVENT: Final = re.compile(r"(?i)\s*refer\s*(;.*)?", re.DOTALL)


class Transfer(StrEnum):
    """How far it is."""

    ASKED = "asked"
    """REFER was sent."""
    ACCEPTED = "accepted"
    """It was answered with 2xx: NOTIFYs follow."""
    DONE = "done"
    """The referred call was answered: ours may end."""
    FAILED = "failed"
    """It came to nothing: our call goes on."""

    @property
    def over(self) -> bool:
        return self in {Transfer.DONE, Transfer.FAILED}


class Cue(StrEnum):
    """What can happen."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    """The REFER was answered with 300-699, or not at all."""
    TRYING = "trying"
    """NOTIFY with a provisional status."""
    ANSWERED = "answered"
    """NOTIFY with a 2xx."""
    FAILED = "failed"
    """NOTIFY with 300-699."""
    GONE = "gone"
    """The subscription ended without a final status (RFC 3515 §2.4.7)."""
    TIMEOUT = "timeout"
    BYE = "bye"
    """The transferee left us: it did not wait for us to leave (RFC 5589 §6.1)."""


TRANSITIONS: Final[Mapping[tuple[Transfer, Cue], Transfer]] = {
    (Transfer.ASKED, Cue.ACCEPTED): Transfer.ACCEPTED,
    (Transfer.ASKED, Cue.REFUSED): Transfer.FAILED,
    (Transfer.ASKED, Cue.TRYING): Transfer.ASKED,  # a NOTIFY may overtake the 202 (§2.4.4)
    (Transfer.ASKED, Cue.ANSWERED): Transfer.DONE,
    (Transfer.ASKED, Cue.FAILED): Transfer.FAILED,
    (Transfer.ASKED, Cue.GONE): Transfer.FAILED,
    (Transfer.ASKED, Cue.TIMEOUT): Transfer.FAILED,
    (Transfer.ASKED, Cue.BYE): Transfer.FAILED,
    (Transfer.ACCEPTED, Cue.ACCEPTED): Transfer.ACCEPTED,
    (Transfer.ACCEPTED, Cue.REFUSED): Transfer.FAILED,
    (Transfer.ACCEPTED, Cue.TRYING): Transfer.ACCEPTED,
    (Transfer.ACCEPTED, Cue.ANSWERED): Transfer.DONE,
    (Transfer.ACCEPTED, Cue.FAILED): Transfer.FAILED,
    (Transfer.ACCEPTED, Cue.GONE): Transfer.FAILED,
    (Transfer.ACCEPTED, Cue.TIMEOUT): Transfer.FAILED,
    (Transfer.ACCEPTED, Cue.BYE): Transfer.DONE,
}
"""A pair that is not there changes nothing: what is over stays so."""


def next_state(state: Transfer, cue: Cue) -> Transfer:
    """Where `cue` leads."""
    return TRANSITIONS.get((state, cue), state)


def is_refer_event(request: Request) -> bool:
    """Whether a NOTIFY belongs to a REFER (§2.4.4)."""
    return _EVENT.fullmatch(request.headers.get("event") or "") is not None


def read_notify(request: Request) -> tuple[Cue | None, int]:
    """What a NOTIFY of the refer package says: a cue, if any, and the status it tells (0: none).

    The body is the beginning of a response (message/sipfrag, RFC 3420).
    """
    found = _STATUS.match(request.body)
    status = int(found[1]) if found else 0
    state = (request.headers.get("subscription-state") or "").partition(";")[0].strip().lower()
    if 200 <= status < 300:
        return Cue.ANSWERED, status
    if status >= 300:
        return Cue.FAILED, status
    if state == "terminated":
        return Cue.GONE, status
    return (Cue.TRYING, status) if status else (None, status)
