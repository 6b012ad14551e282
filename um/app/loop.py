"""One loop for everything: asyncio (uvloop when installed), with Twisted's reactor on top of it.

The reactor must be installed before anything imports `twisted.internet.reactor`; so this module is
imported first and the edges only inside `main`.
"""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from typing import Any

from twisted.internet import asyncioreactor

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
SWITCH_SECONDS = 0.0005
"""How long a thread that computes may keep the others waiting; Python's default is ten times that.

The loop lets the interpreter go with each packet it reads: with 100 calls it would wait 100 times in a
beat of 20 ms for a thread that renders a message.
"""


def run_in_one_loop(main: Callable[[asyncio.Event, Any], Coroutine[Any, Any, None]]) -> None:
    """Run `main` on a loop that Twisted shares; return or raise as it does.

    `main` is given an event that SIGTERM and SIGINT set, and Twisted's reactor. A second signal
    while it stops is not special: what drains has its own limits of time.
    """
    if "twisted.internet.reactor" in sys.modules:
        raise RuntimeError("a reactor is installed already: one process, one loop")
    loop = _new_loop()
    asyncio.set_event_loop(loop)
    reactor = _install_reactor(loop)
    stop = asyncio.Event()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    task: asyncio.Task[None] | None = None

    def begin() -> None:
        nonlocal task
        task = loop.create_task(main(stop, reactor), name="main")
        task.add_done_callback(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    # Our own signal handling above: Twisted's would stop the reactor under a draining call.
    reactor.run(installSignalHandlers=False)
    _finish(loop)
    assert task is not None
    task.result()


def keep_steady() -> None:
    """Once all is loaded: let no pause of the interpreter hold up the beat of the calls.

    What was made until now stays for good: no collection needs to look through it again.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()


def _install_reactor(loop: asyncio.AbstractEventLoop) -> Any:
    # Twisted types its reactor by zope interfaces, which say less than the object can do.
    untyped: Any = asyncioreactor
    untyped.install(loop)
    return sys.modules["twisted.internet.reactor"]


def _new_loop() -> asyncio.AbstractEventLoop:
    if find_spec("uvloop") is None:
        return asyncio.new_event_loop()
    import uvloop  # type: ignore[import-not-found,unused-ignore]

    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def _finish(loop: asyncio.AbstractEventLoop) -> None:
    """As `asyncio.run` does: no task, generator or thread outlives the loop."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
