"""Structured logs to stderr, one line an event; no secret ever.

- A line is JSON, or `key=value` on a terminal. Control characters are escaped in both, so that a
  peer's text can neither forge a line nor drive a terminal.
- A key that names a secret (SECRET_WORDS) has its value replaced, at any depth.
- Twisted's and the standard library's logs run through the same chain.
"""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO, cast

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

SECRET_WORDS = ("password", "passwd", "pin", "secret", "token", "authorization", "credential")
REDACTED = "***"
_NOISY = (
    "alembic",
    "asyncio",
    "mail.log",
    "mail.error",
    "uvicorn",
    "uvicorn.access",
    "uvicorn.error",
)
"""Loggers of others whose `info` says nothing to an operator."""
_FIRST = ("timestamp", "level", "event", "logger")
_SECRET_KEY = re.compile(rf"(^|[_\-.])({'|'.join(SECRET_WORDS)})s?($|[_\-.])", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_URL_PASSWORD = re.compile(r"(?<=://)([^\s/:@]*):[^\s/@]+@")


def configure(stream: TextIO | None = None, *, level: str = "info") -> None:
    """Send all logs of this process to `stream` (stderr), from `level` up."""
    stream = stream or sys.stderr
    chain: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    renderer: Processor = (
        render_key_values if stream.isatty() else structlog.processors.JSONRenderer(default=str)
    )
    structlog.configure(
        processors=[*chain, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(_number(level)),
        cache_logger_on_first_use=False,
    )
    output = logging.StreamHandler(stream)
    output.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=chain,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                in_order,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [output]
    root.setLevel(_number(level))
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def route_twisted() -> None:
    """Send Twisted's logs to the standard library's, and so here. Call once, after `configure`."""
    from twisted.logger import (  # noqa: PLC0415 - only the server needs Twisted
        ILogObserver,
        STDLibLogObserver,
        globalLogBeginner,
    )

    # zope.interface says what it implements at run time only.
    observer = cast("ILogObserver", STDLibLogObserver())
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False, discardBuffer=True)
    # "Starting factory …" at info says nothing that our own lines do not.
    logging.getLogger("twisted").setLevel(logging.WARNING)


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace the value of every key that names a secret, and passwords inside URLs."""
    return {key: _cleaned(key, value) for key, value in event.items()}


def in_order(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """What every line has comes first, in the same order."""
    return {key: event.pop(key) for key in _FIRST if key in event} | dict(event)


def render_key_values(_: WrappedLogger, __: str, event: EventDict) -> str:
    """One line for people: time, level, event, then key=value."""
    time = str(event.pop("timestamp", ""))[11:23]
    level = str(event.pop("level", ""))
    name = event.pop("event", "")
    event.pop("logger", None)
    exception = event.pop("exception", None)
    values = [f"{key}={escaped(_plain(value))}" for key, value in event.items()]
    line = " ".join([time, f"{level:<7}", escaped(str(name)), *values])
    if exception is None:
        return line
    return "\n".join([line, *(f"    {escaped(row)}" for row in str(exception).splitlines())])


def escaped(text: str) -> str:
    """`text` without a control character: each is written as its escape."""
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def _cleaned(key: object, value: Any) -> Any:
    if isinstance(key, str) and _SECRET_KEY.search(key) and not isinstance(value, bool):
        return REDACTED
    if isinstance(value, str):
        return _URL_PASSWORD.sub(rf"\1:{REDACTED}@", value)
    if isinstance(value, Mapping):
        return {name: _cleaned(name, item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(None, item) for item in value]
    return value


def _plain(value: object) -> str:
    text = str(value)
    return repr(text) if " " in text or not text else text


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]
