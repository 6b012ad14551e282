"""What one client costs the others: push, a neighbour's wait, memory of idle and of stalled ones."""

import multiprocessing
import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bench.corpus import message
from bench.imap_peers import Peer
from bench.imap_wire import Wire
from bench.processes import pss_octets
from bench.report import percentile

STALL_SECONDS = 3.0
EVERYTHING = b"FETCH 1:* (UID FLAGS INTERNALDATE ENVELOPE BODYSTRUCTURE BODY.PEEK[])"


def push_ms(peer: Peer, *, times: int) -> float:
    """p95 of OK of an APPEND to EXISTS in a session that idles, ms; 0 if that came first."""
    idler, writer = peer.select(), peer.login()
    idler.send(b"IDLE")
    _wait_for(idler, b"+ ")
    waits = []
    for number in range(times):
        writer.append(message(1_000_000 + number, octets=2000))
        done = time.perf_counter()
        _wait_for(idler, b" EXISTS\r\n")
        waits.append(time.perf_counter() - done)
    idler.socket.sendall(b"DONE\r\n")
    idler.close()
    _drop_last(writer, times)
    writer.close()
    return 1000 * percentile(waits, 0.95)


def _wait_for(wire: Wire, needle: bytes) -> None:
    got = b""
    while needle not in got:
        data = wire.socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        got += data


def _drop_last(wire: Wire, count: int) -> None:
    """Take the messages out again that a row has put in."""
    wire.ask(b"SELECT INBOX")
    answer = wire.answer(b"STATUS INBOX (MESSAGES)")
    messages = int(answer.split(b"MESSAGES ")[1].split(b")")[0])
    wire.ask(b"STORE %d:%d +FLAGS.SILENT (\\Deleted)" % (messages - count + 1, messages))
    wire.ask(b"EXPUNGE")


def neighbour_ms(peer: Peer, *, seconds: float) -> list[float]:
    """How long each NOOP of a session took while another one fetched everything, again and again; ms.

    Who asks goes before the other processes, where that is allowed: server, reader and asker are three
    on two cores, and how long the asker itself waits for one is not the server's doing.
    """
    wire = peer.select()
    waits = []
    with _fetching(peer), _first():
        ends = time.perf_counter() + seconds
        while time.perf_counter() < ends:
            waits.append(1000 * wire.ask(b"NOOP")[1])
            time.sleep(0.002)
    wire.close()
    return waits


@contextmanager
def _first() -> Iterator[None]:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, before - 15)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)


@contextmanager
def _fetching(peer: Peer) -> Iterator[None]:
    begun = multiprocessing.Event()
    process = multiprocessing.Process(target=_fetch_all, args=(peer, begun), daemon=True)
    process.start()
    begun.wait(30)
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _fetch_all(peer: Peer, begun: "multiprocessing.synchronize.Event") -> None:
    wire = peer.select()
    begun.set()
    while True:
        wire.ask(EVERYTHING)


def idle_octets(peer: Peer, *, connections: int) -> float:
    """Memory of one TLS connection that has selected INBOX and idles, of so many; kB."""
    peer.select(tls=True).close()
    before = pss_octets(peer.pid)
    wires = []
    for _ in range(connections):
        wire = peer.select(tls=True)
        wire.send(b"IDLE")
        _wait_for(wire, b"+ ")
        wires.append(wire)
    after = pss_octets(peer.pid)
    for wire in wires:
        wire.close()
    time.sleep(1.0)
    return (after - before) / connections / 1000


def stalled_octets(peer: Peer) -> float:
    """What a server grows by while a client that asked for everything reads nothing; MB."""
    wire = peer.select(receive_octets=65536)
    wire.ask(b"NOOP")
    before = pss_octets(peer.pid)
    wire.send(b"FETCH 1:* (BODY.PEEK[])")
    most, ends = before, time.monotonic() + STALL_SECONDS
    while time.monotonic() < ends:
        most = max(most, pss_octets(peer.pid))
        select.select([], [], [], 0.05)
    wire.close()
    return (most - before) / 1e6
