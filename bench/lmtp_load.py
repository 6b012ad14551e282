"""Hand mail over LMTP on parallel connections, as a mail server does; bounded in number."""

import asyncio
import time

from bench.corpus import message


async def _reply(reader: asyncio.StreamReader) -> bytes:
    line = await reader.readline()
    while line[3:4] == b"-":
        line = await reader.readline()
    return line


async def _connection(port: int, recipient: str, numbers: "asyncio.Queue[int]", octets: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await _reply(reader)
    writer.write(b"LHLO bench\r\n")
    await _reply(reader)
    stored = 0
    while not numbers.empty():
        number = numbers.get_nowait()
        writer.write(
            b"MAIL FROM:<billing@example.net>\r\nRCPT TO:<%s>\r\nDATA\r\n" % recipient.encode()
        )
        for _ in range(3):
            answer = await _reply(reader)
        if not answer.startswith(b"354"):
            raise RuntimeError(f"DATA refused: {answer!r}")
        writer.write(message(number, octets=octets) + b".\r\n")
        answer = await _reply(reader)
        if not answer.startswith(b"250"):
            raise RuntimeError(f"not stored: {answer!r}")
        stored += 1
    writer.write(b"QUIT\r\n")
    await _reply(reader)
    writer.close()
    return stored


async def load(
    port: int, recipient: str, *, count: int, connections: int, octets: int = 80_000, first: int = 0
) -> float:
    """Hand over `count` messages; returns messages acknowledged a second."""
    numbers: asyncio.Queue[int] = asyncio.Queue()
    for number in range(first, first + count):
        numbers.put_nowait(number)
    start = time.perf_counter()
    stored = await asyncio.gather(
        *(_connection(port, recipient, numbers, octets) for _ in range(connections))
    )
    seconds = time.perf_counter() - start
    if sum(stored) != count:
        raise RuntimeError(f"{sum(stored)} of {count} stored")
    return count / seconds
