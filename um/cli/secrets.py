"""Secrets come by standard input only, one a line: never as an argument, where `ps` shows them."""

import getpass
import sys

from um.core.errors import InvalidError

MAX_CHARACTERS = 4096


def read_secrets(*, password: bool, pin: bool) -> tuple[str | None, str | None]:
    """The password and the PIN as far as asked for; the password's line comes first.

    On a terminal each is asked for without echo. Raises InvalidError if a line is missing.
    """
    return (
        _read_line("password") if password else None,
        _read_line("PIN") if pin else None,
    )


def _read_line(what: str) -> str:
    if sys.stdin.isatty():
        line = getpass.getpass(f"{what}: ")
    else:
        line = sys.stdin.readline(MAX_CHARACTERS)
    secret = line.rstrip("\r\n")
    if not secret:
        raise InvalidError(f"The {what} is expected on standard input, on a line of its own")
    return secret
