"""How much of a request's body is taken, and how long it may take to come.

Laws:
- Nobody sends more than SMALL_OCTETS before the route has said who may: a route that takes files
  authorises first and then raises the limit (`read_body`).
- A body that trickles is given up, so that it cannot hold a connection for ever.
- All large bodies together hold at most LARGE_OCTETS; who comes then is told to come again.
"""

import asyncio
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from um.core.errors import InvalidError, TooLargeError, UnavailableError

SMALL_OCTETS = 64 * 1024
PAUSE_SECONDS = 30.0
"""Longest silence within a body."""
WHOLE_SECONDS = 600.0
"""Longest time for a whole body."""
LARGE_OCTETS = 256 * 1024 * 1024
_LIMIT = "um.body_octets"


class _Room:
    """What large bodies hold while they come."""

    def __init__(self) -> None:
        self.held = 0

    def take(self, octets: int) -> None:
        """Raises UnavailableError if there is no room for so many more."""
        if self.held + octets > LARGE_OCTETS:
            raise UnavailableError("Too many large requests at once, try again")
        self.held += octets


_room = _Room()


class BoundedBodies:
    """ASGI around an application: counts what comes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        scope[_LIMIT] = SMALL_OCTETS
        await self._app(scope, _Counted(scope, receive), send)


class _Counted:
    """`receive` until the body is complete, with its limits; afterwards as it is."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self._octets = 0
        self._complete = False
        self._deadline: float | None = None

    async def __call__(self) -> Message:
        if self._complete:
            return await self._receive()
        now = asyncio.get_running_loop().time()
        if self._deadline is None:
            self._deadline = now + WHOLE_SECONDS
        try:
            async with asyncio.timeout_at(min(now + PAUSE_SECONDS, self._deadline)):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT) from None
        self._octets += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._octets > self._scope[_LIMIT]:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return message


async def read_body(request: Request, *, most_octets: int) -> bytes:
    """The whole body, of at most so many octets. Call it when it is clear who sends it.

    Raises TooLargeError, UnavailableError, and InvalidError for a body that breaks off.
    """
    request.scope[_LIMIT] = most_octets
    announced = request.headers.get("content-length", "0")
    if announced.isascii() and announced.isdigit() and int(announced) > most_octets:
        raise TooLargeError(f"The body has at most {most_octets} octets")
    pieces: list[bytes] = []
    try:
        async for piece in request.stream():
            _room.take(len(piece))
            pieces.append(piece)
        return b"".join(pieces)
    except ClientDisconnect as error:
        raise InvalidError("The body broke off") from error
    finally:
        _room.held -= sum(map(len, pieces))
