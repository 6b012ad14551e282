"""SpanDSP 0.0.6 bound by cffi in ABI mode: T.30 over audio, and the tones of telephones.

The only module that knows libspandsp. The library is loaded once, by `load()` or the first object
made; loading takes a moment, so a server calls `load()` before it takes calls.
Only `libspandsp.so.2` is bound: the layout of the statistics differs in later versions.
Laws: a state is never freed inside a callback; every callback and handle lives as long as its state.
SpanDSP cannot be trusted with hostile input to the last: T.30 runs in a child process
(`fax.receiver`), the tone detectors (no parser, no file) may run in the server.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cffi

from um.core.errors import UnavailableError

LIBRARY = "libspandsp.so.2"
FRAME_SAMPLES = 160
"""20 ms at 8000 samples a second."""

_DECLARATIONS = """
typedef struct {
    int bit_rate; int error_correcting_mode; int pages_tx; int pages_rx; int pages_in_file;
    int x_resolution; int y_resolution; int width; int length; int image_size; int encoding;
    int bad_rows; int longest_bad_row_run; int error_correcting_mode_retries; int current_status;
} t30_stats_t;
typedef int (*phase_handler)(void *t30, void *user_data, int result);
typedef void (*end_handler)(void *t30, void *user_data, int code);
typedef void (*digits_handler)(void *user_data, const char *digits, int len);
typedef void (*tone_handler)(void *user_data, int code, int level, int delay);
typedef void (*message_handler)(int level, const char *text);

void *fax_init(void *s, int calling_party);
int fax_rx(void *s, int16_t *amp, int len);
int fax_tx(void *s, int16_t *amp, int max_len);
void fax_set_transmit_on_idle(void *s, int transmit_on_idle);
void *fax_get_t30_state(void *s);
int fax_free(void *s);
void t30_set_rx_file(void *s, const char *file, int stop_page);
int t30_set_tx_ident(void *s, const char *id);
const char *t30_get_rx_ident(void *s);
int t30_set_ecm_capability(void *s, int enabled);
int t30_set_rx_encoding(void *s, int encoding);
int t30_set_supported_modems(void *s, int modems);
int t30_set_supported_compressions(void *s, int compressions);
int t30_set_supported_resolutions(void *s, int resolutions);
int t30_set_supported_image_sizes(void *s, int sizes);
void t30_set_phase_b_handler(void *s, phase_handler handler, void *user_data);
void t30_set_phase_d_handler(void *s, phase_handler handler, void *user_data);
void t30_set_phase_e_handler(void *s, end_handler handler, void *user_data);
void t30_get_transfer_statistics(void *s, t30_stats_t *t);
const char *t30_completion_code_to_str(int result);
void t30_terminate(void *s);
void span_set_message_handler(message_handler handler);
void *dtmf_rx_init(void *s, digits_handler callback, void *user_data);
int dtmf_rx(void *s, const int16_t *amp, int samples);
int dtmf_rx_free(void *s);
void *modem_connect_tones_rx_init(void *s, int tone, tone_handler callback, void *user_data);
int modem_connect_tones_rx(void *s, const int16_t *amp, int len);
int modem_connect_tones_rx_free(void *s);
"""

_MODEMS = 1 | 2 | 4
"""V.27ter, V.29, V.17."""
_COMPRESSIONS = 2 | 4 | 8
"""T.4 one- and two-dimensional, T.6. (The lowest bit means none at all.)"""
_RESOLUTIONS = 1 | 2 | 4 | 0x10000 | 0x20000 | 0x40000
"""Standard, fine, superfine; R4, R8, R16 across."""
_SIZES = 1 | 2 | 4 | 0x10000 | 0x20000 | 0x40000 | 0x80000 | 0x100000
"""215, 255 and 303 mm wide; A4, B4, letter, legal and unlimited length."""
_ENCODING_T6 = 3

_TONES = {1: "CNG", 2: "CED", 3: "CED", 4: "CED", 5: "CED", 6: "V21"}
"""MODEM_CONNECT_TONES_*: the answer tones ANS, /ANS, ANSam, /ANSam all are CED to us."""
_TONE_FAX_CNG = 1
_TONE_ANS = 2
_TONE_FAX_PREAMBLE = 6


class SpanDSPMissingError(UnavailableError):
    """The shared library is not on this machine."""

    default = "The fax modem library is not installed"


@dataclass(frozen=True, slots=True)
class _Binding:
    """The loaded library with what keeps it quiet."""

    ffi: Any
    lib: Any
    quiet: Any


@cache
def load() -> Any:
    """Load the library once. Raises SpanDSPMissingError."""
    ffi = cffi.FFI()
    ffi.cdef(_DECLARATIONS)
    try:
        lib: Any = ffi.dlopen(LIBRARY)
    except OSError as error:
        raise SpanDSPMissingError(f"{LIBRARY} cannot be loaded: install libspandsp2") from error
    quiet = ffi.callback("message_handler", lambda _level, _text: None)
    lib.span_set_message_handler(quiet)
    return _Binding(ffi, lib, quiet)


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


class AudioFax:
    """One receiving fax terminal over 8 kHz linear audio (T.30, called party).

    `receive` and `transmit` are to be called about equally often; SpanDSP's clock is the samples it
    gets. A page that ended is in the file, its directory written, before its confirmation is even
    queued; so whoever stops calling `transmit` and `receive` when `pages_received` grows holds the
    confirmation back.
    """

    def __init__(self, rx_file: Path, *, station_id: str, ecm: bool) -> None:
        """Begin to answer. Args: rx_file: TIFF to be written; station_id: at most 20 characters."""
        self._binding = load()
        ffi, lib = self._binding.ffi, self._binding.lib
        self._ended: int | None = None
        self._phase_d = 0
        self._state = lib.fax_init(ffi.NULL, 0)
        if self._state == ffi.NULL:
            raise SpanDSPMissingError("SpanDSP could not make a fax terminal")
        self._t30 = lib.fax_get_t30_state(self._state)
        self._statistics = ffi.new("t30_stats_t *")
        self._frame = ffi.new("int16_t[]", FRAME_SAMPLES)
        self._callbacks = (
            ffi.callback("phase_handler", self._on_phase_d),
            ffi.callback("end_handler", self._on_phase_e),
        )
        lib.fax_set_transmit_on_idle(self._state, 1)
        self._configure(rx_file, station_id, ecm=ecm)

    def _configure(self, rx_file: Path, station_id: str, *, ecm: bool) -> None:
        ffi, lib, t30 = self._binding.ffi, self._binding.lib, self._t30
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

    def receive(self, samples: bytes) -> None:
        """Take samples (signed 16 bit, native order) from the line, at most a second at a time."""
        ffi = self._binding.ffi
        buffer = ffi.new("int16_t[]", len(samples) // 2)
        ffi.memmove(buffer, samples, len(buffer) * 2)
        self._binding.lib.fax_rx(self._state, buffer, len(buffer))

    def transmit(self) -> bytes:
        """The next 160 samples for the line, silence where SpanDSP has nothing to say."""
        written = self._binding.lib.fax_tx(self._state, self._frame, FRAME_SAMPLES)
        octets = bytes(self._binding.ffi.buffer(self._frame, written * 2))
        return octets.ljust(FRAME_SAMPLES * 2, b"\0")

    @property
    def pages_received(self) -> int:
        """Pages that are whole in the file, the last one perhaps not confirmed yet."""
        return self.statistics().pages_received if self._phase_d else 0

    @property
    def completion(self) -> int | None:
        """T.30 completion code (0 is success) once the session has ended."""
        return self._ended

    def statistics(self) -> FaxStatistics:
        """What was counted so far."""
        raw = self._statistics
        self._binding.lib.t30_get_transfer_statistics(self._t30, raw)
        return FaxStatistics(
            bit_rate=raw.bit_rate,
            ecm=bool(raw.error_correcting_mode),
            pages_received=raw.pages_rx,
            x_resolution_dpm=raw.x_resolution,
            y_resolution_dpm=raw.y_resolution,
            bad_rows=raw.bad_rows,
        )

    def remote_identity(self) -> str:
        """TSI: what the sender calls itself; up to 20 characters, unclean."""
        raw = self._binding.lib.t30_get_rx_ident(self._t30)
        return self._text(raw)

    def completion_text(self) -> str:
        """The completion code in SpanDSP's words."""
        if self._ended is None:
            return ""
        return self._text(self._binding.lib.t30_completion_code_to_str(self._ended))

    def _text(self, raw: Any) -> str:
        ffi = self._binding.ffi
        return "" if raw == ffi.NULL else ffi.string(raw).decode("ascii", "replace").strip()

    def terminate(self) -> None:
        """The line is gone: end the session now; `completion` says how it stood."""
        self._binding.lib.t30_terminate(self._t30)

    def close(self) -> None:
        """End the session and free it; closing twice is harmless. Never called from a callback."""
        if self._state is None:
            return
        self.terminate()
        self._binding.lib.fax_free(self._state)
        self._state = None


class _ConnectTone:
    """One of SpanDSP's receivers of the tones by which modems meet; each tone is told as it begins."""

    def __init__(self, binding: Any, kind: int, heard: Callable[[str], None]) -> None:
        ffi, lib = binding.ffi, binding.lib
        self._heard = heard
        self._last = 0
        self._receive = lib.modem_connect_tones_rx
        self._handle = ffi.callback("tone_handler", self._on_tone)
        state = lib.modem_connect_tones_rx_init(ffi.NULL, kind, self._handle, ffi.NULL)
        self._state = ffi.gc(state, lib.modem_connect_tones_rx_free)

    def _on_tone(self, _user_data: Any, code: int, _level: int, _delay: int) -> None:
        # Each change is told; zero is the end of a tone.
        if code in _TONES and code != self._last:
            self._heard(_TONES[code])
        self._last = code

    def feed(self, buffer: Any) -> None:
        self._receive(self._state, buffer, len(buffer))


class SpanDSPToneDetector:
    """`um.telephony.application.ToneDetector`: in-band DTMF, CNG and CED."""

    def __init__(self) -> None:
        self._binding = load()
        ffi, lib = self._binding.ffi, self._binding.lib
        self._heard: list[str] = []
        self._on_digits_handle = ffi.callback("digits_handler", self._on_digits)
        null = ffi.NULL
        self._dtmf = ffi.gc(lib.dtmf_rx_init(null, self._on_digits_handle, null), lib.dtmf_rx_free)
        self._tones = [
            _ConnectTone(self._binding, kind, self._heard.append)
            for kind in (_TONE_FAX_CNG, _TONE_ANS)
        ]

    def _on_digits(self, _user_data: Any, digits: Any, length: int) -> None:
        self._heard.extend(self._binding.ffi.unpack(digits, length).decode("ascii"))

    def feed(self, samples: bytes) -> list[str]:
        """Tones that ended or were recognised: `0`-`9 * # A-D`, `CNG`, `CED`."""
        buffer = self._binding.ffi.from_buffer("int16_t[]", samples)
        self._binding.lib.dtmf_rx(self._dtmf, buffer, len(buffer))
        for tone in self._tones:
            tone.feed(buffer)
        heard = self._heard.copy()
        self._heard.clear()
        return heard


class CallingFaxDetector:
    """`um.telephony.application.ToneDetector`: is it a fax machine that calls?

    `CNG` after 0.42 s of its 0.5 s (T.30 §5.3.6.1.1), `V21` after 0.12 s of the preamble of a T.30
    message, which a machine sends that was started by hand. How often speech is taken for them, and
    how faint they may be: docs/protocols/fax.md.
    """

    def __init__(self) -> None:
        self._binding = load()
        self._heard: list[str] = []
        self._tones = [
            _ConnectTone(self._binding, kind, self._heard.append)
            for kind in (_TONE_FAX_CNG, _TONE_FAX_PREAMBLE)
        ]

    def feed(self, samples: bytes) -> list[str]:
        """`CNG` and `V21`, as each begins."""
        buffer = self._binding.ffi.from_buffer("int16_t[]", samples)
        for tone in self._tones:
            tone.feed(buffer)
        heard = self._heard.copy()
        self._heard.clear()
        return heard
