"""UDPTL: facsimile packets (IFP) over UDP, numbered and made good (T.38 §9, ASN.1 aligned PER).

Laws:
- Any octets give a `UdptlDatagram` or `UdptlError`, and `encode` then `decode` is the identity.
- A receiver tells each IFP once and in order; one that is lost is made good from the redundancy or
  parity of later datagrams (§9.1.4.1, §9.1.4.2) or, after a short wait, left out and counted.
- A sender's datagrams are never longer than the peer's T38FaxMaxDatagram, unless one IFP is by itself.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from typing import Final

from um.core.errors import InvalidError

DEPTH: Final = 3
"""How many earlier IFPs each datagram repeats, or how many packets each parity covers."""
GAP_SECONDS: Final = 0.25
"""How long a missing IFP is waited for: parity of 3 x 3 comes within nine datagrams of 30 ms."""
WINDOW: Final = 64
"""Sequence numbers further ahead are a new count, not a loss; so many old IFPs serve parity."""
_LATE_IN_A_ROW: Final = 16
"""So many old numbers in a row are a sender that counts anew."""
_FIRST_NUMBERS: Final = 20
"""A sender counts from 0: if the first datagram seen has a number up to this, others were lost."""
_MAX_ENTRIES: Final = 64
_FRAGMENT: Final = 0x4000
"""16 K: a length from here on goes in fragments (X.691 §11.9.3.8)."""
_PARITY: Final = 0x80


class UdptlError(InvalidError):
    """Octets that are no UDPTL datagram."""

    code = "udptl-syntax"
    default = "Malformed UDPTL datagram"


class ErrorCorrection(StrEnum):
    """What makes lost packets good; the values are those of a=T38FaxUdpEC (T.38 Annex D)."""

    NONE = "t38UDPNoEC"
    REDUNDANCY = "t38UDPRedundancy"
    FEC = "t38UDPFEC"


@dataclass(frozen=True, slots=True)
class Parity:
    """Forward error correction over the IFPs before the primary one (T.38 §9.1.4.2).

    Entry m is the XOR of the `span` IFPs with the numbers sequence + m - j * len(entries), j = 1..span.
    """

    span: int
    entries: tuple[bytes, ...]

    @property
    def reach(self) -> int:
        """How many numbers back it covers."""
        return self.span * len(self.entries)


@dataclass(frozen=True, slots=True)
class UdptlDatagram:
    """One datagram."""

    sequence: int
    """0..65535."""
    primary: bytes
    redundant: tuple[bytes, ...] = ()
    """The IFPs before the primary one, the latest first."""
    parity: Parity | None = None


@dataclass(frozen=True, slots=True)
class NumberedIfp:
    """An IFP with its sequence number."""

    sequence: int
    octets: bytes


# ---- octets


def encode(datagram: UdptlDatagram) -> bytes:
    """The datagram's octets."""
    head = datagram.sequence.to_bytes(2, "big") + _open_type(datagram.primary)
    if datagram.parity is None:
        return head + b"\0" + _counted(datagram.redundant)
    return head + bytes((_PARITY, 1, datagram.parity.span)) + _counted(datagram.parity.entries)


def _counted(entries: tuple[bytes, ...]) -> bytes:
    return bytes((len(entries),)) + b"".join(map(_open_type, entries))


def _open_type(octets: bytes) -> bytes:
    """Length and contents (X.691 §11.9.3.6 to §11.9.3.8)."""
    out = b""
    while len(octets) >= _FRAGMENT:
        count = min(len(octets) // _FRAGMENT, 4)
        out += bytes((0xC0 | count,)) + octets[: count * _FRAGMENT]
        octets = octets[count * _FRAGMENT :]
    size = len(octets)
    length = bytes((size,)) if size < 0x80 else (0x8000 | size).to_bytes(2, "big")
    return out + length + octets


def decode(data: bytes) -> UdptlDatagram:
    """Read a datagram. Raises UdptlError."""
    reader = _Reader(data)
    sequence = int.from_bytes(reader.take(2), "big")
    primary = reader.open_type()
    redundant: tuple[bytes, ...] = ()
    parity = None
    if not reader.at_end:  # some senders leave an empty recovery out
        if reader.take(1)[0] & _PARITY:
            if reader.take(1) != b"\x01":
                raise UdptlError
            parity = Parity(reader.take(1)[0], reader.entries())
        else:
            redundant = reader.entries()
    if not reader.at_end:
        raise UdptlError
    return UdptlDatagram(sequence, primary, redundant, parity)


class _Reader:
    """Goes through one datagram. All methods raise UdptlError at its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def at_end(self) -> bool:
        return self._at == len(self._data)

    def take(self, count: int) -> bytes:
        octets = self._data[self._at : self._at + count]
        if len(octets) < count:
            raise UdptlError
        self._at += count
        return octets

    def entries(self) -> tuple[bytes, ...]:
        count = self.take(1)[0]
        if count > _MAX_ENTRIES:
            raise UdptlError
        return tuple(self.open_type() for _ in range(count))

    def open_type(self) -> bytes:
        octets = b""
        while True:
            first = self.take(1)[0]
            if first < 0x80:
                return octets + self.take(first)
            if first < 0xC0:
                return octets + self.take((first & 0x3F) << 8 | self.take(1)[0])
            if not 0xC1 <= first <= 0xC4:
                raise UdptlError
            octets += self.take((first & 0x3F) * _FRAGMENT)


# ---- sending


class UdptlSender:
    """Numbers IFPs and adds what makes them good."""

    def __init__(self, correction: ErrorCorrection, *, max_datagram: int) -> None:
        self._correction = correction
        self._max_datagram = max_datagram
        self._sent: deque[bytes] = deque(maxlen=DEPTH * DEPTH)
        """The latest last."""
        self._count = 0

    def change(self, correction: ErrorCorrection, *, max_datagram: int) -> None:
        """The far end wants other datagrams from now on; the count goes on."""
        self._correction, self._max_datagram = correction, max_datagram

    def datagram(self, ifp: bytes) -> bytes:
        """The datagram that carries `ifp`, with as much recovery as there is room for."""
        data = next(
            data
            for data in map(encode, self._candidates(ifp))
            if len(data) <= self._max_datagram or self._is_bare(data, ifp)
        )
        self._sent.append(ifp)
        self._count += 1
        return data

    def _candidates(self, ifp: bytes) -> Iterator[UdptlDatagram]:
        sequence = self._count & 0xFFFF
        if self._correction is ErrorCorrection.FEC:
            # Wound up smoothly: at first fewer packets can be covered.
            for entries in range(min(DEPTH, len(self._sent) // DEPTH), 0, -1):
                yield UdptlDatagram(sequence, ifp, parity=self._parity(entries))
        elif self._correction is ErrorCorrection.REDUNDANCY:
            latest = tuple(self._sent)[::-1][:DEPTH]
            for entries in range(len(latest), 0, -1):
                yield UdptlDatagram(sequence, ifp, latest[:entries])
        yield UdptlDatagram(sequence, ifp)

    def _parity(self, entries: int) -> Parity:
        sent = tuple(self._sent)[-DEPTH * entries :]
        return Parity(DEPTH, tuple(exclusive_or(sent[m::entries]) for m in range(entries)))

    @staticmethod
    def _is_bare(data: bytes, ifp: bytes) -> bool:
        """Nothing can be left out any more."""
        return len(data) == len(_open_type(ifp)) + 4


def exclusive_or(packets: Iterable[bytes]) -> bytes:
    """XOR, as long as the longest."""
    packets = list(packets)
    size = max(map(len, packets), default=0)
    numbers = (int.from_bytes(each.ljust(size, b"\0"), "big") for each in packets)
    return reduce(int.__xor__, numbers, 0).to_bytes(size, "big")


# ---- receiving


class UdptlReceiver:
    """Puts IFPs in order and makes lost ones good. Time is `now`, monotonic seconds."""

    def __init__(self) -> None:
        self.recovered = 0
        """IFPs that came only as redundancy or by parity."""
        self.lost = 0
        """IFPs that never came."""
        self.repeated = 0
        """Datagrams that were duplicates or too late."""
        self._next: int | None = None
        """The number told next; not reduced modulo 2^16."""
        self._known: dict[int, bytes] = {}
        """Recent IFPs: those told serve parity, those not yet told wait for one before them."""
        self._came: dict[int, float] = {}
        """When those not yet told came."""
        self._parities: deque[tuple[int, Parity]] = deque(maxlen=WINDOW)
        self._late = 0

    def receive(self, data: bytes, now: float) -> list[NumberedIfp]:
        """Take a datagram; returns the IFPs that are next in order. Raises UdptlError."""
        datagram = decode(data)
        number = self._place(datagram)
        if number < 0:
            return self.take(now)
        flushed = self._leap(number) if number >= WINDOW else []
        number = self._start + (0 if number >= WINDOW else number)
        if number in self._known:
            self.repeated += 1
        else:
            self._keep(number, datagram.primary, now)
        for back, ifp in enumerate(datagram.redundant, start=1):
            self._make_good(number - back, ifp, now)
        if datagram.parity is not None and datagram.parity.reach <= WINDOW:
            self._parities.append((number, datagram.parity))
        told = flushed + self.take(now)
        if self._came:  # they wait for something
            self._repair(now)
            told += self.take(now)
        return told

    def take(self, now: float) -> list[NumberedIfp]:
        """What is in order by now; what is missing for too long is given up."""
        told: list[NumberedIfp] = []
        while self._next in self._known or self._overdue(now):
            told += self._tell_next()
        self._forget()
        return told

    @property
    def _start(self) -> int:
        return self._next or 0

    def _tell_next(self) -> list[NumberedIfp]:
        number = self._start
        self._next = number + 1
        self._came.pop(number, None)
        ifp = self._known.get(number)
        if ifp is None:
            self.lost += 1
        return [NumberedIfp(number & 0xFFFF, ifp)] if ifp else []

    def _place(self, datagram: UdptlDatagram) -> int:
        """How far ahead of the number told next; negative of one that is too late."""
        sequence = datagram.sequence
        if self._next is None:
            early = sequence <= _FIRST_NUMBERS
            self._next = max(0, sequence - len(datagram.redundant)) if early else sequence
        ahead = (sequence - self._next + 0x8000 & 0xFFFF) - 0x8000
        if ahead >= 0:
            self._late = 0
            return ahead
        self.repeated += 1
        self._late += 1
        if self._late < _LATE_IN_A_ROW:
            return ahead
        self._begin_anew(sequence)
        return 0

    def _leap(self, ahead: int) -> list[NumberedIfp]:
        """Tell what waits, and go on far ahead."""
        target, told = self._start + ahead, []
        last = max(self._came, default=self._start - 1)
        while self._start <= last:
            told += self._tell_next()
        self.lost += target - self._start
        self._begin_anew(target)
        return told

    def _begin_anew(self, number: int) -> None:
        self._known.clear()
        self._came.clear()
        self._parities.clear()
        self._late = 0
        self._next = number

    def _keep(self, number: int, ifp: bytes, now: float) -> None:
        self._known[number] = ifp
        self._came[number] = now

    def _make_good(self, number: int, ifp: bytes, now: float) -> bool:
        """Keep an IFP that is still wanted."""
        if number < self._start or number in self._known or not ifp:
            return False
        self._keep(number, ifp, now)
        self.recovered += 1
        return True

    def _repair(self, now: float) -> None:
        """Work out missing IFPs from parity, until nothing more follows (T.38 §9.1.4.2)."""
        while self._parities and self._parities[0][0] < self._start:
            self._parities.popleft()  # all that it covers has been told or given up
        while any(
            self._repair_one(number + m, parity, m, now)
            for number, parity in self._parities
            for m in range(len(parity.entries))
        ):
            pass

    def _repair_one(self, limit: int, parity: Parity, m: int, now: float) -> bool:
        covered = [limit - j * len(parity.entries) for j in range(1, parity.span + 1)]
        missing = [number for number in covered if number not in self._known]
        if len(missing) != 1:
            return False
        others = [self._known[number] for number in covered if number in self._known]
        return self._make_good(missing[0], exclusive_or([parity.entries[m], *others]), now)

    def _overdue(self, now: float) -> bool:
        """Whether something has waited long enough for what is missing before it."""
        return any(now - came >= GAP_SECONDS for came in self._came.values())

    def _forget(self) -> None:
        if len(self._known) <= 2 * WINDOW:  # seldom, but then all at once
            return
        oldest = self._start - WINDOW
        for number in [number for number in self._known if number < oldest]:
            del self._known[number]
