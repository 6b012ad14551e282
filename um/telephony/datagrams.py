"""Datagrams to and from the kernel: many in one call, each with the time when it came. Linux only.

Laws:
- The interpreter is not let go of meanwhile, as Python's own sockets do: these calls never wait, and
  each time a thread that computes could keep the loop from coming back.
- The kernel's clock is the wall's and may be set; nothing is said to have come after it was read, nor
  more than MOST_SECONDS before.
"""

import ctypes
import os
import struct
from socket import (
    AF_INET,
    AF_INET6,
    MSG_DONTWAIT,
    SOL_SOCKET,
    if_indextoname,
    if_nametoindex,
    inet_ntop,
    inet_pton,
    socket,
)
from typing import Final

from um.core.ports import Clock

Address = tuple[str, int]
Datagram = tuple[bytes, Address, float]
"""Octets, source, and the monotonic time in seconds when it came."""

MOST_AT_ONCE: Final = 16
"""In 100 ms a sender of 10 ms packets has ten."""
MAX_OCTETS: Final = 2048
MOST_SECONDS: Final = 1.0
_KEPT_ADDRESSES: Final = 4096
_SO_TIMESTAMPNS: Final = 35
_STAMP: Final = struct.Struct("@ll")
"""struct timespec: seconds and nanoseconds."""
_STAMP_OFFSET: Final = struct.calcsize("@Nii")
"""struct cmsghdr comes first: its length, level and type."""
_NAME_OCTETS: Final = 28
"""struct sockaddr_in6, the longer of the two."""
_CONTROL_OCTETS: Final = 64
_LENGTH: Final = struct.Struct("@I")
_IPV4: Final = struct.Struct("!H4s8x")
_IPV6: Final = struct.Struct("!HI16s")
_FAMILY: Final = struct.Struct("@H")
_SCOPE: Final = struct.Struct("@I")


class _Vector(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """struct msghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Header(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (("message", _Message), ("octets", ctypes.c_uint))


_HEADER_OCTETS: Final = ctypes.sizeof(_Header)
_OCTETS_OFFSET: Final = _Header.octets.offset

# PyDLL keeps the interpreter.
_C: Final = ctypes.PyDLL(None, use_errno=True)
_recvmmsg: Final = _C.recvmmsg
_recvmmsg.argtypes = (
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_uint,
    ctypes.c_int,
    ctypes.c_void_p,
)
_sendto: Final = _C.sendto
_sendto.argtypes = (
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_uint32,
)
_sendto.restype = ctypes.c_ssize_t


def stamp_arrivals(of: socket) -> None:
    """Have the kernel note when each datagram comes. Raises OSError."""
    of.setsockopt(SOL_SOCKET, _SO_TIMESTAMPNS, 1)


class Mail:
    """The buffers of one thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._set_at = 0.0
        """The wall's clock when the monotonic one stood at 0."""
        self.set_clock()
        self._sources: dict[bytes, Address] = {}
        self._targets: dict[Address, bytes] = {}
        self._octets = ctypes.create_string_buffer(MOST_AT_ONCE * MAX_OCTETS)
        self._names = ctypes.create_string_buffer(MOST_AT_ONCE * _NAME_OCTETS)
        self._control = ctypes.create_string_buffer(MOST_AT_ONCE * _CONTROL_OCTETS)
        self._vectors = (_Vector * MOST_AT_ONCE)()
        self._headers = (_Header * MOST_AT_ONCE)()
        for number in range(MOST_AT_ONCE):
            self._lay(number)
        self._place = ctypes.addressof(self._headers)
        self._octets_seen, self._names_seen = memoryview(self._octets), memoryview(self._names)
        self._raw = memoryview(self._headers).cast("B")
        self._fresh = bytes(self._raw)

    def _lay(self, number: int) -> None:
        octets, names = ctypes.addressof(self._octets), ctypes.addressof(self._names)
        self._vectors[number].base = octets + number * MAX_OCTETS
        self._vectors[number].length = MAX_OCTETS
        header = self._headers[number].message
        header.name = names + number * _NAME_OCTETS
        header.name_length = _NAME_OCTETS
        header.vectors = ctypes.addressof(self._vectors) + number * ctypes.sizeof(_Vector)
        header.vector_count = 1
        header.control = ctypes.addressof(self._control) + number * _CONTROL_OCTETS
        header.control_length = _CONTROL_OCTETS

    def set_clock(self) -> None:
        """Compare the two clocks; to be done now and then."""
        self._set_at = self._clock.now().timestamp() - self._clock.monotonic()

    def take(self, descriptor: int, most: int, now: float) -> list[Datagram]:
        """At most `most` (and MOST_AT_ONCE) of what waits at a socket; empty where nothing does."""
        count = _recvmmsg(descriptor, self._place, min(most, MOST_AT_ONCE), MSG_DONTWAIT, None)
        if count <= 0:  # also where a bad checksum leaves nothing to be read
            return []
        datagrams = [self._datagram(number, now) for number in range(count)]
        written = count * _HEADER_OCTETS
        self._raw[:written] = self._fresh[:written]
        return datagrams

    def _datagram(self, number: int, now: float) -> Datagram:
        header = number * _HEADER_OCTETS
        start = number * MAX_OCTETS
        (length,) = _LENGTH.unpack_from(self._raw, header + _OCTETS_OFFSET)
        name = self._names_seen[number * _NAME_OCTETS : (number + 1) * _NAME_OCTETS].tobytes()
        source = self._sources.get(name)
        return (
            self._octets_seen[start : start + length].tobytes(),
            self._learn(name) if source is None else source,
            self._arrival(number, now),
        )

    def _arrival(self, number: int, now: float) -> float:
        start = number * _CONTROL_OCTETS
        seconds, nanoseconds = _STAMP.unpack_from(self._control, start + _STAMP_OFFSET)
        at: float = seconds + nanoseconds * 1e-9 - self._set_at
        return at if now - MOST_SECONDS < at < now else now

    def _learn(self, name: bytes) -> Address:
        if len(self._sources) >= _KEPT_ADDRESSES:
            self._sources.clear()
        source = self._sources[name] = _address(name)
        return source

    def send(self, descriptor: int, data: bytes, target: Address) -> None:
        """Send one datagram to a numeric address. Raises OSError."""
        name = self._targets.get(target)
        if name is None:
            if len(self._targets) >= _KEPT_ADDRESSES:
                self._targets.clear()
            name = self._targets[target] = _name(target)
        if _sendto(descriptor, data, len(data), MSG_DONTWAIT, name, len(name)) < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


def _address(name: bytes) -> Address:
    """Read a struct sockaddr_in or sockaddr_in6."""
    (family,) = _FAMILY.unpack_from(name)
    if family == AF_INET:
        port, host = _IPV4.unpack_from(name, 2)
        return inet_ntop(AF_INET, host), port
    port, _, host = _IPV6.unpack_from(name, 2)
    (scope,) = _SCOPE.unpack_from(name, 24)
    zone = f"%{if_indextoname(scope)}" if scope else ""
    return inet_ntop(AF_INET6, host) + zone, port


def _name(address: Address) -> bytes:
    """A struct sockaddr_in or sockaddr_in6. Raises OSError if the host is no address."""
    host, _, zone = address[0].partition("%")
    if ":" not in host:
        return _FAMILY.pack(AF_INET) + _IPV4.pack(address[1], inet_pton(AF_INET, host))
    scope = _SCOPE.pack(if_nametoindex(zone) if zone else 0)
    return _FAMILY.pack(AF_INET6) + _IPV6.pack(address[1], 0, inet_pton(AF_INET6, host)) + scope
