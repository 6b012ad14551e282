"""Runs one command: configuration, ports, the work, and the way out.

Exit codes: 0 done, 1 an error that is told in one line, 2 wrong usage (Click), 130 interrupted.
"""

import asyncio
import os
import pwd
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

import typer
from typer._click.exceptions import NoArgsIsHelpError, UsageError

from um.cli.output import complain
from um.core.errors import UMError, UnavailableError

if TYPE_CHECKING:
    from um.app.services import Services
    from um.config import Config

T = TypeVar("T")
DEBUG = "UM_DEBUG"


def read_config(given: Path | None) -> "Config":
    """The configuration the command runs with. Raises ConfigurationError."""
    from um.config import load

    assert given is not None, "the option always has a value (um.cli.options)"
    return load(given)


def with_services(given: Path | None, work: Callable[["Services"], Awaitable[T]]) -> T:
    """Do `work` with the services over the configured storage, whether `serve` runs or not."""
    config = read_config(given)
    quiet_logs()
    from um.app.ports import opened_ports
    from um.app.services import Services
    from um.failpoints import steps_from

    async def session() -> T:
        async with opened_ports(config, steps=steps_from(os.environ)) as ports:
            services = Services(ports)
            try:
                return await work(services)
            finally:
                services.close()

    return asyncio.run(session())


def invoker() -> str:
    """Who runs this command, for the audit log: `cli:NAME`, through sudo `cli:NAME (sudo)`."""
    user = os.getuid()
    if user == 0 and (name := os.environ.get("SUDO_USER")):
        return f"cli:{name} (sudo)"
    try:
        return f"cli:{pwd.getpwuid(user).pw_name}"
    except KeyError:  # a container's user need not have a name
        return f"cli:{user}"


def quiet_logs() -> None:
    """Let a command's logs tell of defects only: trouble is told once, in the line at its end."""
    from um import logs

    logs.configure(level="warning" if os.environ.get(DEBUG) else "error")


def guarded(command: Callable[[], object]) -> NoReturn:
    """Run the command line and exit, turning every error into one line.

    `command` returns the status that it asked for, if any.
    """
    try:
        status = command()
    except UMError as error:
        complain(_with_cause(error))
        sys.exit(1)
    except NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except UsageError as error:
        path = error.ctx.command_path if error.ctx else "um"
        complain(f"{error.format_message()} ({path} --help tells more)")
        sys.exit(error.exit_code)
    except typer.Abort:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python must not complain at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        complain(f"{type(error).__name__}: {error} (set {DEBUG}=1 to see where)")
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)


def _with_cause(error: UMError) -> str:
    """What a peer may hear, and for the operator, who may know it all, why storage failed."""
    if not isinstance(error, UnavailableError) or error.__cause__ is None:
        return error.public
    cause = error.__cause__
    words = str(getattr(cause, "orig", None) or cause).partition("\n")[0]
    return f"{error.public}: {words}"
