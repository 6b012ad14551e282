"""A sending T.38 machine that shares no code with the server: its own SpanDSP binding, its own UDPTL.

`SendingT38` is pure: `tick` lets 20 ms pass and gives datagrams, `hear` takes them. Its UDPTL repeats the
last three packets (redundancy), or sends parity, as real gateways do.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cffi

from tests.support.fax_machine import _CDEF, MODEMS, Sent

_T38_CDEF = """
typedef int (*tx_packet)(void *, void *, const uint8_t *, int, int);
void *t38_terminal_init(void *, int, tx_packet, void *);
int t38_terminal_send_timeout(void *, int);
void *t38_terminal_get_t30_state(void *);
void *t38_terminal_get_t38_core_state(void *);
int t38_core_rx_ifp_packet(void *, const uint8_t *, int, uint16_t);
void t38_set_data_rate_management_method(void *, int);
"""


def _field(ifp: bytes) -> bytes:
    size = len(ifp)
    return (bytes([size]) if size < 128 else bytes([0x80 | size >> 8, size & 0xFF])) + ifp


@dataclass
class UdptlWriter:
    """Puts packets into datagrams. `recovery`: none, redundancy or parity."""

    recovery: str = "redundancy"
    depth: int = 3
    number: int = 0

    def __post_init__(self) -> None:
        self._before: list[bytes] = []

    def write(self, ifp: bytes) -> bytes:
        head = self.number.to_bytes(2, "big") + _field(ifp)
        data = head + (self._parity() if self.recovery == "parity" else self._copies())
        self.number = (self.number + 1) & 0xFFFF
        self._before = [*self._before, ifp][-self.depth * self.depth :]
        return data

    def _copies(self) -> bytes:
        copies = self._before[::-1][: self.depth] if self.recovery == "redundancy" else []
        return bytes([0, len(copies)]) + b"".join(map(_field, copies))

    def _parity(self) -> bytes:
        entries = len(self._before) // self.depth
        covered = self._before[len(self._before) - entries * self.depth :]
        rows = []
        for m in range(entries):
            row = bytearray()
            for ifp in covered[m::entries]:
                row.extend(bytes(max(0, len(ifp) - len(row))))
                for at, octet in enumerate(ifp):
                    row[at] ^= octet
            rows.append(bytes(row))
        return bytes([0x80, 1, self.depth, entries]) + b"".join(map(_field, rows))


def read_primary(data: bytes) -> tuple[int, bytes]:
    """Number and primary packet of a datagram."""
    size, at = data[2], 3
    if size & 0x80:
        size, at = (size & 0x3F) << 8 | data[3], 4
    return int.from_bytes(data[:2], "big"), data[at : at + size]


class SendingT38:
    """The calling party of T.30 over T.38."""

    def __init__(
        self,
        tiff: Path,
        *,
        ident: str = "+15550009999",
        ecm: bool = True,
        modem: str = "v17",
        recovery: str = "redundancy",
        local_tcf: bool = False,
    ) -> None:
        self._ffi = ffi = cffi.FFI()
        ffi.cdef(_CDEF + _T38_CDEF)
        lib: Any = ffi.dlopen("libspandsp.so.2")
        self._lib = lib
        self._out: list[tuple[bytes, int]] = []
        self._confirmed = 0
        self._code: int | None = None
        self._kept = (
            ffi.callback("tx_packet", self._on_packet),
            ffi.callback("phase_d", self._on_confirmed),
            ffi.callback("phase_e", self._on_end),
        )
        self._state = lib.t38_terminal_init(ffi.NULL, 1, self._kept[0], ffi.NULL)
        self._t30 = lib.t38_terminal_get_t30_state(self._state)
        self._core = lib.t38_terminal_get_t38_core_state(self._state)
        lib.t38_set_data_rate_management_method(self._core, 1 if local_tcf else 2)
        lib.t30_set_tx_ident(self._t30, ident.encode())
        lib.t30_set_ecm_capability(self._t30, int(ecm))
        lib.t30_set_supported_modems(self._t30, MODEMS[modem])
        lib.t30_set_supported_compressions(self._t30, 14)
        lib.t30_set_supported_resolutions(self._t30, 0x70007)
        lib.t30_set_supported_image_sizes(self._t30, 0x1F0007)
        lib.t30_set_tx_file(self._t30, str(tiff).encode(), -1, -1)
        lib.t30_set_phase_d_handler(self._t30, self._kept[1], ffi.NULL)
        lib.t30_set_phase_e_handler(self._t30, self._kept[2], ffi.NULL)
        self._udptl = UdptlWriter(recovery)
        self._heard = -1

    def _on_packet(self, _core: Any, _data: Any, octets: Any, size: int, times: int) -> int:
        self._out.append((bytes(self._ffi.buffer(octets, size)), times))
        return 0

    def _on_confirmed(self, _t30: Any, _data: Any, result: int) -> int:
        if result & 0xFE in (0x8C, 0xCC):  # MCF, RTP: the page was taken
            self._confirmed += 1
        return 0

    def _on_end(self, _t30: Any, _data: Any, code: int) -> None:
        self._code = code

    def tick(self) -> list[bytes]:
        """20 ms pass; what leaves."""
        self._lib.t38_terminal_send_timeout(self._state, 160)
        out, self._out = self._out, []
        datagrams: list[bytes] = []
        for ifp, times in out:
            datagrams += [self._udptl.write(ifp)] * times
        return datagrams

    def hear(self, data: bytes) -> None:
        """Take a datagram; those that are late are dropped."""
        number, ifp = read_primary(data)
        if self._heard >= 0 and (number - self._heard & 0xFFFF) >= 0x8000:
            return
        self._heard = number
        self._lib.t38_core_rx_ifp_packet(self._core, ifp, len(ifp), number)

    @property
    def pages_confirmed(self) -> int:
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
