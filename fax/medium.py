"""What one fax call hears and says on its socket: RTP with a modem behind it, or UDPTL with T.38.

Pure: datagrams and `now` in, datagrams out. Each medium has the session that it carries. Datagrams that
are not of the medium are refused and counted; they move nothing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fax.audio_session import AudioSession
from fax.line import Audio, Gap, RtpLine
from fax.protocol import Media
from fax.session import FaxSession
from fax.t38_session import T38Session
from fax.terminals import AudioFax, T38Fax
from um.telephony.udptl import (
    ErrorCorrection,
    NumberedIfp,
    UdptlError,
    UdptlReceiver,
    UdptlSender,
)

_RTP_VERSION = 0x80
_SSRC = slice(8, 12)


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for a fax whatever its medium."""

    rx_file: Path
    station_id: str
    ecm: bool
    max_pages: int


@dataclass(frozen=True, slots=True)
class LineCounts:
    """How the line was."""

    bad_packets: int = 0
    """Datagrams that were none of ours."""
    recovered: int = 0
    """T.38 packets that were lost and made good."""
    lost: int = 0
    """T.38 packets that were lost for good."""
    repeated: int = 0
    """T.38 datagrams that came twice or too late."""


class Medium(Protocol):
    """One of the two."""

    @property
    def session(self) -> FaxSession: ...
    @property
    def counts(self) -> LineCounts: ...
    def receive(self, data: bytes, now: float) -> bool:
        """Take a datagram; False if it is none of this medium."""
        ...

    def tick(self, now: float) -> list[bytes]:
        """Let 20 ms pass; returns what is to be sent."""
        ...

    def adapt(self, media: Media) -> None:
        """Go on as agreed anew, by the same means."""
        ...

    def close(self) -> None:
        """Free the terminal. Not within a call of its."""
        ...


class AudioMedium:
    """G.711 over RTP."""

    def __init__(self, line: RtpLine, terms: Terms) -> None:
        self._line = line
        self._modem = AudioFax(terms.rx_file, station_id=terms.station_id, ecm=terms.ecm)
        self._session = AudioSession(self._modem, max_pages=terms.max_pages)

    @property
    def session(self) -> FaxSession:
        return self._session

    @property
    def counts(self) -> LineCounts:
        return LineCounts(bad_packets=self._line.bad_packets)

    def receive(self, data: bytes, now: float) -> bool:
        pieces = self._line.receive(data, now)
        if pieces is None:
            return False
        self._hear(pieces)
        return True

    def tick(self, now: float) -> list[bytes]:
        self._hear(self._line.tick(now))
        return [self._line.packet(self._session.transmit())]

    def adapt(self, media: Media) -> None:
        self._line.change_law(media.payload_type)

    def close(self) -> None:
        self._modem.close()

    def _hear(self, pieces: list[Audio | Gap]) -> None:
        for piece in pieces:
            if self._session.ended:
                return
            if isinstance(piece, Gap):
                self._session.receive_nothing(piece.count)
            else:
                self._session.receive(piece.samples)


class T38Medium:
    """T.38 over UDPTL. `old_ssrc`: of the RTP that came on this socket before, some of it perhaps late."""

    def __init__(self, media: Media, terms: Terms, *, old_ssrc: int | None = None) -> None:
        self._terminal = T38Fax(
            terms.rx_file,
            station_id=terms.station_id,
            ecm=terms.ecm,
            local_tcf=media.local_tcf,
        )
        self._session = T38Session(self._terminal, max_pages=terms.max_pages)
        self._sender = UdptlSender(
            ErrorCorrection(media.correction), max_datagram=media.max_datagram
        )
        self._receiver = UdptlReceiver()
        self._old_ssrc = b"" if old_ssrc is None else old_ssrc.to_bytes(4, "big")
        self._bad_packets = 0

    @property
    def session(self) -> FaxSession:
        return self._session

    @property
    def counts(self) -> LineCounts:
        heard = self._receiver
        return LineCounts(self._bad_packets, heard.recovered, heard.lost, heard.repeated)

    def receive(self, data: bytes, now: float) -> bool:
        if self._is_old_rtp(data):
            return False
        try:
            packets = self._receiver.receive(data, now)
        except UdptlError:
            self._bad_packets += 1
            return False
        self._hear(packets)
        return True

    def tick(self, now: float) -> list[bytes]:
        self._hear(self._receiver.take(now))
        outgoing: list[bytes] = []
        for packet in self._session.transmit():
            outgoing += [self._sender.datagram(packet.octets)] * packet.times
        return outgoing

    def adapt(self, media: Media) -> None:
        self._sender.change(ErrorCorrection(media.correction), max_datagram=media.max_datagram)

    def close(self) -> None:
        self._terminal.close()

    def _hear(self, packets: list[NumberedIfp]) -> None:
        for packet in packets:
            if self._session.ended:
                return
            self._session.receive(packet.octets, packet.sequence)

    def _is_old_rtp(self, data: bytes) -> bool:
        """A UDPTL number may look like an RTP header; the source of the call's RTP tells."""
        old = self._old_ssrc
        return bool(old) and data[:1] >= bytes((_RTP_VERSION,)) and data[_SSRC] == old
