"""A sending fax machine that shares no code with the server: its own binding of SpanDSP.

`SendingFax` is the machine's modem over linear samples; the module run as a program
(`python -m tests.support.fax_machine --rtp HOST:PORT FILE.tif`) sends one fax over bare G.711 RTP
from a process of its own and prints its result as one line of JSON.
"""

import argparse
import json
import secrets
import select
import socket
import struct
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cffi

FRAME = 160
_SILENCE = bytes(FRAME * 2)

_CDEF = """
typedef struct {
    int bit_rate, error_correcting_mode, pages_tx, pages_rx, pages_in_file, x_resolution,
        y_resolution, width, length, image_size, encoding, bad_rows, longest_bad_row_run,
        error_correcting_mode_retries, current_status;
} stats;
typedef int (*phase_d)(void *, void *, int);
typedef void (*phase_e)(void *, void *, int);
void *fax_init(void *, int);
int fax_rx(void *, int16_t *, int);
int fax_tx(void *, int16_t *, int);
void fax_set_transmit_on_idle(void *, int);
void *fax_get_t30_state(void *);
void t30_set_tx_file(void *, const char *, int, int);
int t30_set_tx_ident(void *, const char *);
int t30_set_ecm_capability(void *, int);
int t30_set_supported_modems(void *, int);
int t30_set_supported_compressions(void *, int);
int t30_set_supported_resolutions(void *, int);
int t30_set_supported_image_sizes(void *, int);
void t30_set_phase_d_handler(void *, phase_d, void *);
void t30_set_phase_e_handler(void *, phase_e, void *);
void t30_get_transfer_statistics(void *, stats *);
const char *t30_completion_code_to_str(int);
"""

MODEMS = {"v27ter": 1, "v29": 3, "v17": 7}


@dataclass(frozen=True, slots=True)
class Sent:
    """How the sending went, in the sender's own eyes."""

    code: int
    text: str
    pages_confirmed: int
    """Pages for which this machine heard an MCF."""
    bit_rate: int
    ecm: bool


class SendingFax:
    """The calling party of T.30: give it what it hears, send what it says, 160 samples a time."""

    def __init__(
        self, tiff: Path, *, ident: str = "+15550009999", ecm: bool = True, modem: str = "v17"
    ) -> None:
        self._ffi = ffi = cffi.FFI()
        ffi.cdef(_CDEF)
        lib: Any = ffi.dlopen("libspandsp.so.2")
        self._lib = lib
        self._state = lib.fax_init(ffi.NULL, 1)
        self._t30 = lib.fax_get_t30_state(self._state)
        self._confirmed = 0
        self._code: int | None = None
        self._kept = (
            ffi.callback("phase_d", self._on_confirmed),
            ffi.callback("phase_e", self._on_end),
        )
        lib.fax_set_transmit_on_idle(self._state, 1)
        lib.t30_set_tx_ident(self._t30, ident.encode())
        lib.t30_set_ecm_capability(self._t30, int(ecm))
        lib.t30_set_supported_modems(self._t30, MODEMS[modem])
        lib.t30_set_supported_compressions(self._t30, 14)
        lib.t30_set_supported_resolutions(self._t30, 0x70007)
        lib.t30_set_supported_image_sizes(self._t30, 0x1F0007)
        lib.t30_set_tx_file(self._t30, str(tiff).encode(), -1, -1)
        lib.t30_set_phase_d_handler(self._t30, self._kept[0], ffi.NULL)
        lib.t30_set_phase_e_handler(self._t30, self._kept[1], ffi.NULL)
        self._out = ffi.new("int16_t[]", FRAME)

    def _on_confirmed(self, _t30: Any, _user_data: Any, result: int) -> int:
        if result & 0xFE in (0x8C, 0xCC):  # MCF, RTP: the page was taken
            self._confirmed += 1
        return 0

    def _on_end(self, _t30: Any, _user_data: Any, code: int) -> None:
        self._code = code

    def hear(self, samples: bytes) -> None:
        """Take what came over the line (16-bit linear)."""
        buffer = self._ffi.new("int16_t[]", len(samples) // 2)
        self._ffi.memmove(buffer, samples, len(buffer) * 2)
        self._lib.fax_rx(self._state, buffer, len(buffer))

    def say(self) -> bytes:
        """The next 160 samples for the line."""
        count = self._lib.fax_tx(self._state, self._out, FRAME)
        return bytes(self._ffi.buffer(self._out, count * 2)).ljust(FRAME * 2, b"\0")

    @property
    def pages_confirmed(self) -> int:
        """Confirmations heard so far."""
        return self._confirmed

    @property
    def result(self) -> Sent | None:
        """The outcome, once there is one."""
        if self._code is None:
            return None
        stats: Any = self._ffi.new("stats *")
        self._lib.t30_get_transfer_statistics(self._t30, stats)
        text = self._ffi.string(self._lib.t30_completion_code_to_str(self._code))
        assert isinstance(text, bytes)
        return Sent(
            code=self._code,
            text=text.decode(),
            pages_confirmed=self._confirmed,
            bit_rate=stats.bit_rate,
            ecm=bool(stats.error_correcting_mode),
        )


def _ulaw_to_linear(code: int) -> int:
    code = ~code & 0xFF
    magnitude = ((code & 0x0F) << 3 | 0x84) << (code >> 4 & 7)
    return (0x84 - magnitude) if code & 0x80 else (magnitude - 0x84)


def _linear_to_ulaw(sample: int) -> int:
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), 32635) + 0x84
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | magnitude >> (exponent + 3) & 0x0F) & 0xFF


_DECODE = [_ulaw_to_linear(code) for code in range(256)]
_ENCODE = bytes(_linear_to_ulaw(value - 32768) for value in range(65536))


def expand(payload: bytes) -> bytes:
    """G.711 mu-law octets as 16-bit linear samples."""
    return struct.pack(f"={len(payload)}h", *map(_DECODE.__getitem__, payload))


def compress(samples: bytes) -> bytes:
    """16-bit linear samples as G.711 mu-law octets."""
    return bytes(_ENCODE[value + 32768] for value in memoryview(samples).cast("h"))


def send_over_rtp(
    machine: SendingFax, sock: socket.socket, peer: tuple[str, int], *, limit_seconds: float = 150
) -> Sent:
    """Send in real time over PCMU RTP until the machine is done. Raises TimeoutError."""
    sequence, stamp, ssrc = secrets.randbits(16), secrets.randbits(32), secrets.randbits(32)
    started = time.monotonic()
    for tick in range(int(limit_seconds * 50)):
        result = machine.result
        if result is not None:
            return result
        header = struct.pack("!BBHII", 0x80, 0, sequence, stamp, ssrc)
        sock.sendto(header + compress(machine.say()), peer)
        sequence, stamp = sequence + 1 & 0xFFFF, stamp + FRAME & 0xFFFFFFFF
        for packet in _packets_until(sock, started + (tick + 1) * 0.02):
            machine.hear(expand(packet[12:]))
    raise TimeoutError(f"the fax did not end in {limit_seconds} s")


def _packets_until(sock: socket.socket, deadline: float) -> Iterable[bytes]:
    while (left := deadline - time.monotonic()) > 0:
        if select.select([sock], [], [], left)[0]:
            yield sock.recv(2048)


def main() -> None:
    """Send one file over bare RTP and print what came of it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rtp", required=True, help="HOST:PORT of the receiving RTP socket")
    parser.add_argument("--bind", type=int, default=0, help="own UDP port")
    parser.add_argument("--no-ecm", action="store_true")
    parser.add_argument("--modem", choices=sorted(MODEMS), default="v17")
    parser.add_argument("--ident", default="+15550009999")
    parser.add_argument("file", type=Path)
    options = parser.parse_args()
    host, _, port = options.rtp.rpartition(":")
    machine = SendingFax(
        options.file, ident=options.ident, ecm=not options.no_ecm, modem=options.modem
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", options.bind))
        sent = send_over_rtp(machine, sock, (host, int(port)))
    print(json.dumps(asdict(sent)), flush=True)


if __name__ == "__main__":
    main()
