"""The fax child alone: it ends with its server, whatever it is about."""

import asyncio
import socket

from fax import receiver


def test_a_page_that_is_ready_after_the_server_has_gone_is_refused():
    """A slow disk: the server died while the page was read. The child must not wait for its word."""

    async def story():
        server, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        server.close()
        with control:
            child = receiver.Receiver(control)
            await asyncio.wait_for(child.run(), 10)
            call = receiver._Call.__new__(receiver._Call)
            call.id, call._child, call._answers = "call", child, {}
            call._loop = asyncio.get_running_loop()
            assert not await asyncio.wait_for(call._has_room(1, 1000), 10)

    asyncio.run(story())
