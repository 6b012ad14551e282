"""Asterisk's SendFAX as a sending fax machine: its own SIP, its own RTP, its own T.30 driver.

    with Asterisk(folder, um=server.address("sip"), dialplan=FAX_MACHINE) as asterisk:
        sent = send_fax(asterisk, "+15551230002", [text_page("hello")])
    assert sent.success

A fax takes real time: about 25 s for a page of a few lines, of which 15 s are T.30's own.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image

from tests.support.asterisk import Asterisk
from tests.support.tiffs import FINE, write_tiff

STATION = "+15550000111"
CALLER = "+15559870001"
LIMIT_SECONDS = 180.0

FAX_MACHINE = """
[fax-machine]
exten => send,1,Set(FAXOPT(localstationid)=${STATION})
 same => n,Set(FAXOPT(ecm)=${ECM})
 same => n,SendFAX(${DOCUMENT},${OPTIONS})
 same => n,Hangup()
exten => h,1,Verbose(0,FAX MACHINE ${MARK} "${FAXOPT(status)}" "${FAXOPT(pages)}" "${FAXOPT(rate)}" "${FAXOPT(remotestationid)}" "${FAXOPT(error)}" "${FAXOPT(statusstr)}")
"""
"""A context for `Asterisk(dialplan=…)`. SendFAX ends with the channel: its result is read in `h`."""

G711_ONLY: Final = "F"
"""Option of SendFAX: audio, whatever the other side would rather have (`z`: T.38 by our re-INVITE)."""
_RESULT: Final = r'FAX MACHINE {mark} "(.*?)" "(.*?)" "(.*?)" "(.*?)" "(.*?)" "(.*?)"'
_marks = itertools.count(1)


@dataclass(frozen=True, slots=True)
class AsteriskSent:
    """How the sending went, in Asterisk's own eyes (its FAXOPT)."""

    status: str
    """`SUCCESS`, or what went wrong."""
    pages: int
    """Pages that were confirmed."""
    bit_rate: int
    remote_station: str
    """CSI: what the receiver calls itself."""
    error: str
    text: str

    @property
    def success(self) -> bool:
        return self.status == "SUCCESS"


def send_fax(
    asterisk: Asterisk,
    number: str,
    pages: Sequence[Image.Image],
    *,
    ecm: bool = True,
    dpi: tuple[int, int] = FINE,
    options: str = G711_ONLY,
    channel: str = "PJSIP/{number}@um",
    caller: str = CALLER,
    limit_seconds: float = LIMIT_SECONDS,
) -> AsteriskSent:
    """Call `number` and send `pages`; blocks until the call is over.

    Args:
        asterisk: runs with the dialplan FAX_MACHINE.
        number: what is dialled.
        pages: of the sender's TIFF.
        ecm: whether Asterisk offers error correction.
        dpi: resolution across and down.
        options: of SendFAX.
        channel: the way out of Asterisk.
        caller: the caller's number; the station identifier is STATION.
        limit_seconds: a call that lasts longer raises PeerError.
    """
    mark = f"{next(_marks)}-{number.lstrip('+')}"
    document = write_tiff(asterisk.folder / f"sent-{mark}.tif", pages, dpi=dpi)
    asterisk.call(
        channel.format(number=number),
        "send@fax-machine",
        caller=caller,
        variables={
            "STATION": STATION,
            "ECM": "yes" if ecm else "no",
            "DOCUMENT": str(document),
            "OPTIONS": options,
            "MARK": mark,
        },
    )
    return _result(asterisk, mark, limit_seconds)


def _result(asterisk: Asterisk, mark: str, limit_seconds: float) -> AsteriskSent:
    said = asterisk.wait_said(
        f'FAX MACHINE {mark} "', seconds=limit_seconds, unless="Call failed to go"
    )
    found = re.search(_RESULT.format(mark=re.escape(mark)), said)
    if found is None:  # the line is not whole yet
        said = asterisk.wait_said(f'FAX MACHINE {mark} "', seconds=1)
        found = re.search(_RESULT.format(mark=re.escape(mark)), said)
    assert found is not None, said[-2000:]
    status, pages, rate, station, error, text = found.groups()
    return AsteriskSent(status, int(pages or 0), int(rate or 0), station, error, text)
