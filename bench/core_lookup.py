"""How long the core waits for an answer about a number: `python -m bench.core_lookup [COUNT]`.

A server in a folder of its own, one account with 200 messages, one kept connection as a PBX keeps
it, and new connections as Asterisk's CURL() makes them. The aim is under 5 ms.
"""

import sys
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path

from tests.support.inbox import PASSWORD, send_lmtp
from tests.support.server import Server

NUMBER = "+15551230001"
MESSAGES = 200


def measure(server: Server, count: int, *, kept: bool) -> list[float]:
    """Milliseconds of each question."""
    where = server.address("http")
    connection = HTTPConnection(where.host, where.port)
    took = []
    for _ in range(count):
        start = time.perf_counter()
        if not kept:
            connection = HTTPConnection(where.host, where.port)
        connection.request("GET", f"/core/v1/numbers/{NUMBER}?format=text")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
        took.append((time.perf_counter() - start) * 1000)
        if not kept:
            connection.close()
    return sorted(took)


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder)) as server:
        server.add_account("anna", password=PASSWORD, numbers=[NUMBER])
        for index in range(MESSAGES):
            send_lmtp(server, ["anna@um.example.net"], f"Subject: {index}\r\n\r\nx\r\n".encode())
        for kept in (True, False):
            took = measure(server, count, kept=kept)
            how = "kept connection" if kept else "new connections"
            print(
                f"{how}: {count} questions, median {took[count // 2]:.2f} ms, "
                f"p99 {took[count * 99 // 100]:.2f} ms, longest {took[-1]:.2f} ms"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
