"""SpanDSP 0.0.6 bound by cffi in ABI mode: the library, and the tones of telephones.

Only this module and `fax.terminals` (T.30) know libspandsp. The library is loaded once, by `load()` or the first object
made; loading takes a moment, so a server calls `load()` before it takes calls.
Only `libspandsp.so.2` is bound: the layout of the statistics differs in later versions.
Laws: a state is never freed inside a callback; every callback and handle lives as long as its state.
SpanDSP cannot be trusted with hostile input to the last: T.30 runs in a child process
(`fax.receiver`), the tone detectors (no parser, no file) may run in the server.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
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
typedef int (*packet_handler)(void *core, void *user_data, const uint8_t *octets, int len, int count);
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
void *t38_terminal_init(void *s, int calling_party, packet_handler handler, void *user_data);
int t38_terminal_send_timeout(void *s, int samples);
void *t38_terminal_get_t30_state(void *s);
void *t38_terminal_get_t38_core_state(void *s);
int t38_terminal_free(void *s);
int t38_core_rx_ifp_packet(void *s, const uint8_t *octets, int len, uint16_t sequence);
void t38_set_t38_version(void *s, int version);
void t38_set_data_rate_management_method(void *s, int method);
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
