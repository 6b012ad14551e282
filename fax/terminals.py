"""T.30 terminals of SpanDSP that receive one fax: over audio, and over T.38.

Their clock is the caller's: `transmit` lets 20 ms pass. A page that ended is in the file, its directory
written, before its confirmation is even queued; so whoever stops calling `transmit` and `receive` when
`pages_received` grows holds the confirmation back.
Laws: a state is never freed inside a callback; every callback lives as long as its state.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fax.spandsp import FRAME_SAMPLES, SpanDSPMissingError, load

_MODEMS = 1 | 2 | 4
"""V.27ter, V.29, V.17."""
_COMPRESSIONS = 2 | 4 | 8
"""T.4 one- and two-dimensional, T.6. (The lowest bit means none at all.)"""
_RESOLUTIONS = 1 | 2 | 4 | 0x10000 | 0x20000 | 0x40000
"""Standard, fine, superfine; R4, R8, R16 across."""
_SIZES = 1 | 2 | 4 | 0x10000 | 0x20000 | 0x40000 | 0x80000 | 0x100000
"""215, 255 and 303 mm wide; A4, B4, letter, legal and unlimited length."""
_ENCODING_T6 = 3
_LOCAL_TCF: Final = 1
_TRANSFERRED_TCF: Final = 2


@dataclass(frozen=True, slots=True)
class FaxStatistics:
    """What SpanDSP counted of a session (t30_stats_t)."""

    bit_rate: int
    """Bits a second on the line: 14400 to 2400; 0 before training."""
    ecm: bool
    pages_received: int
    x_resolution_dpm: int
    """Dots a metre across."""
    y_resolution_dpm: int
    bad_rows: int
    """Rows of the last page that did not decode (without ECM)."""


class _Terminal(ABC):
    """What is the same whatever the line: the called party of T.30."""

    def __init__(self) -> None:
        self._binding = load()
        self._ffi, self._lib = self._binding.ffi, self._binding.lib
        self._ended: int | None = None
        self._phase_d = 0
        self._state: Any = None
        self._t30: Any = None
        self._statistics = self._ffi.new("t30_stats_t *")
        self._bad_rows = 0
        self._callbacks = (
            self._ffi.callback("phase_handler", self._on_phase_d),
            self._ffi.callback("end_handler", self._on_phase_e),
        )

    def _made(self, state: Any) -> Any:
        if state == self._ffi.NULL:
            raise SpanDSPMissingError("SpanDSP could not make a fax terminal")
        return state

    def _configure(self, rx_file: Path, station_id: str, *, ecm: bool) -> None:
        ffi, lib, t30 = self._ffi, self._lib, self._t30
        lib.t30_set_tx_ident(t30, station_id.encode("ascii", "replace")[:20])
        lib.t30_set_ecm_capability(t30, int(ecm))
        lib.t30_set_supported_modems(t30, _MODEMS)
        lib.t30_set_supported_compressions(t30, _COMPRESSIONS)
        lib.t30_set_supported_resolutions(t30, _RESOLUTIONS)
        lib.t30_set_supported_image_sizes(t30, _SIZES)
        lib.t30_set_rx_file(t30, str(rx_file).encode(), -1)
        lib.t30_set_rx_encoding(t30, _ENCODING_T6)
        lib.t30_set_phase_d_handler(t30, self._callbacks[0], ffi.NULL)
        lib.t30_set_phase_e_handler(t30, self._callbacks[1], ffi.NULL)

    def _on_phase_d(self, _t30: Any, _user_data: Any, _result: int) -> int:
        self._phase_d += 1
        return 0

    def _on_phase_e(self, _t30: Any, _user_data: Any, code: int) -> None:
        self._ended = code

    @property
    def pages_received(self) -> int:
        """Pages that are whole in the file, the last one perhaps not confirmed yet."""
        self._count()
        pages: int = self._statistics.pages_rx
        return pages if self._phase_d else 0

    @property
    def completion(self) -> int | None:
        """T.30 completion code (0 is success) once the session has ended."""
        return self._ended

    def statistics(self) -> FaxStatistics:
        """What was counted so far."""
        self._count()
        raw = self._statistics
        return FaxStatistics(
            bit_rate=raw.bit_rate,
            ecm=bool(raw.error_correcting_mode),
            pages_received=raw.pages_rx,
            x_resolution_dpm=raw.x_resolution,
            y_resolution_dpm=raw.y_resolution,
            bad_rows=self._bad_rows,
        )

    def _count(self) -> None:
        """Ask for the figures; bad rows are noted as they come.

        SpanDSP has begun the next page, and forgotten the rows of the last one, when it tells of it.
        """
        if self._state is None:  # freed: what was counted last
            return
        self._lib.t30_get_transfer_statistics(self._t30, self._statistics)
        if self._statistics.length:
            self._bad_rows = self._statistics.bad_rows

    def remote_identity(self) -> str:
        """TSI: what the sender calls itself; up to 20 characters, unclean. Not after `close`."""
        raw = self._lib.t30_get_rx_ident(self._t30)
        return self._text(raw)

    def completion_text(self) -> str:
        """The completion code in SpanDSP's words."""
        if self._ended is None:
            return ""
        return self._text(self._lib.t30_completion_code_to_str(self._ended))

    def _text(self, raw: Any) -> str:
        if raw == self._ffi.NULL:
            return ""
        octets: bytes = self._ffi.string(raw)
        return octets.decode("ascii", "replace").strip()

    def terminate(self) -> None:
        """The line is gone: end the session now; `completion` says how it stood."""
        if self._state is not None:
            self._lib.t30_terminate(self._t30)

    def close(self) -> None:
        """End the session and free it; closing twice is harmless. Never called from a callback."""
        if self._state is None:
            return
        self.terminate()
        self._free(self._state)
        self._state = None

    @abstractmethod
    def _free(self, state: Any) -> None: ...


class AudioFax(_Terminal):
    """Over 8 kHz linear audio.

    `receive` and `transmit` are to be called about equally often; SpanDSP's clock is the samples it
    gets.
    """

    def __init__(self, rx_file: Path, *, station_id: str, ecm: bool) -> None:
        """Begin to answer. Args: rx_file: TIFF to be written; station_id: at most 20 characters."""
        super().__init__()
        self._state = self._made(self._lib.fax_init(self._ffi.NULL, 0))
        self._t30 = self._lib.fax_get_t30_state(self._state)
        self._frame = self._ffi.new("int16_t[]", FRAME_SAMPLES)
        self._lib.fax_set_transmit_on_idle(self._state, 1)
        self._configure(rx_file, station_id, ecm=ecm)

    def receive(self, samples: bytes) -> None:
        """Take samples (signed 16 bit, native order) from the line, at most a second at a time."""
        ffi = self._ffi
        buffer = ffi.new("int16_t[]", len(samples) // 2)
        ffi.memmove(buffer, samples, len(buffer) * 2)
        self._lib.fax_rx(self._state, buffer, len(buffer))

    def transmit(self) -> bytes:
        """The next 160 samples for the line, silence where SpanDSP has nothing to say."""
        written = self._lib.fax_tx(self._state, self._frame, FRAME_SAMPLES)
        octets = bytes(self._ffi.buffer(self._frame, written * 2))
        return octets.ljust(FRAME_SAMPLES * 2, b"\0")

    def _free(self, state: Any) -> None:
        self._lib.fax_free(state)


@dataclass(frozen=True, slots=True)
class OutgoingIfp:
    """A packet for the far end."""

    octets: bytes
    times: int
    """How often its datagram is to be sent: indicators have nothing after them that repeats them."""


class T38Fax(_Terminal):
    """Over T.38: packets (IFP) instead of sound."""

    def __init__(
        self,
        rx_file: Path,
        *,
        station_id: str,
        ecm: bool,
        version: int = 0,
        local_tcf: bool = False,
    ) -> None:
        """Begin to answer; `version` and `local_tcf` as agreed (T.38 Annex D)."""
        super().__init__()
        self._out: list[OutgoingIfp] = []
        self._packet_callback = self._ffi.callback("packet_handler", self._on_packet)
        self._state = self._made(
            self._lib.t38_terminal_init(self._ffi.NULL, 0, self._packet_callback, self._ffi.NULL)
        )
        self._t30 = self._lib.t38_terminal_get_t30_state(self._state)
        self._core = self._lib.t38_terminal_get_t38_core_state(self._state)
        self._lib.t38_set_t38_version(self._core, version)
        self._lib.t38_set_data_rate_management_method(
            self._core, _LOCAL_TCF if local_tcf else _TRANSFERRED_TCF
        )
        self._configure(rx_file, station_id, ecm=ecm)

    def _on_packet(self, _core: Any, _user_data: Any, octets: Any, length: int, count: int) -> int:
        self._out.append(OutgoingIfp(bytes(self._ffi.buffer(octets, length)), count))
        return 0

    def receive(self, ifp: bytes, sequence: int) -> None:
        """Take the packet with this number (modulo 2^16); SpanDSP notices what is missing before."""
        self._lib.t38_core_rx_ifp_packet(self._core, ifp, len(ifp), sequence & 0xFFFF)

    def transmit(self) -> list[OutgoingIfp]:
        """Let 20 ms pass and return what is to be sent."""
        self._lib.t38_terminal_send_timeout(self._state, FRAME_SAMPLES)
        out, self._out = self._out, []
        return out

    def _free(self, state: Any) -> None:
        self._lib.t38_terminal_free(state)
