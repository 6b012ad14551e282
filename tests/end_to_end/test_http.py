"""uvicorn as a guest in our loop: real sockets, our life cycle."""

import asyncio
import json
from http.client import HTTPConnection

import pytest

from um.config import Listen
from um.web.metrics import PrometheusMetrics
from um.web.plain import plain_app
from um.web.server import HttpServer


async def well():
    return None


def test_the_server_listens_in_our_loop():
    """Port 0 gives a real port; a request is answered; stop closes it."""

    async def scenario() -> tuple[int, dict]:
        app = plain_app({"database": well}, PrometheusMetrics(), lambda _: True)
        server = HttpServer(app, Listen("127.0.0.1", 0))
        bound = await server.start()

        def ask() -> tuple[int, dict]:
            connection = HTTPConnection(bound.host, bound.port, timeout=5)
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            result = answer.status, json.loads(answer.read())
            connection.close()
            return result

        answered = await asyncio.to_thread(ask)
        await server.stop()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(bound.host, bound.port)
        return answered

    assert asyncio.run(scenario())[0] == 200


def test_a_taken_port_is_an_error():
    async def scenario() -> None:
        app = plain_app({}, PrometheusMetrics(), lambda _: True)
        first = HttpServer(app, Listen("127.0.0.1", 0))
        bound = await first.start()
        try:
            with pytest.raises(OSError, match="Address already in use"):
                await HttpServer(app, bound).start()
        finally:
            await first.stop()

    asyncio.run(scenario())
