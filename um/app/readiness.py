"""Tells whoever started us that everything listens, and where: a log line, a file, a pipe.

The notice is one line of JSON: {"pid": 1, "addresses": {"imap": ["127.0.0.1:1143"], …}}.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)
VARIABLE = "UM_READY_FD"
"""Number of an inherited file descriptor: the notice is written there and it is closed."""

Addresses = Mapping[str, Sequence[str]]
"""Name of a service to where it listens.

`imap`, `imaps`, `lmtp`, `smtp`, `sip` (UDP), `sip-tcp`, `sip-tls`, `http`.
"""


def announce(
    addresses: Addresses, *, environment: Mapping[str, str], ready_file: Path | None
) -> None:
    """Say that we are ready, in every way that was asked for."""
    log.info("ready", **{name: list(each) for name, each in addresses.items()})
    notice = json.dumps({"pid": os.getpid(), "addresses": addresses}) + "\n"
    if ready_file is not None:
        new = ready_file.with_name(f".{ready_file.name}.{os.getpid()}")
        new.write_text(notice)
        new.replace(ready_file)
    if descriptor := environment.get(VARIABLE):
        with os.fdopen(int(descriptor), "w") as pipe:
            pipe.write(notice)
