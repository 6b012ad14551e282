"""A program that reads documents of strangers, run under limits and, where it works, in bubblewrap.

Limits of memory, processor, file size and wall time always; beyond them, where the machine allows
it, a sandbox: no network, nothing of the server's files, nothing writable but one folder. What runs
longer than it may is killed with all that it started.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

MIB = 1024 * 1024
_SILENCE = (asyncio.subprocess.DEVNULL, asyncio.subprocess.DEVNULL)
_ENTER = (
    "bwrap",
    "--unshare-all",
    "--die-with-parent",
    "--new-session",
    "--clearenv",
    "--setenv",
    "PATH",
    "/usr/bin:/bin",
)
_READABLE = (
    "/usr",
    "/bin",
    "/lib",
    "/lib64",
    "/etc/fonts",
    "/etc/alternatives",
    "/var/lib/ghostscript",
)
_SCRATCH = ("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp")  # noqa: S108 - the sandbox's own


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use."""

    wall_seconds: float
    cpu_seconds: int
    memory_octets: int = 1024 * MIB
    file_octets: int = 64 * MIB
    nice: int = 0

    def command(self) -> tuple[str, ...]:
        """How a command under these limits begins."""
        return (
            "nice",
            f"--adjustment={self.nice}",
            "prlimit",
            f"--as={self.memory_octets}",
            f"--cpu={self.cpu_seconds}",
            f"--fsize={self.file_octets}",
            "--core=0",
        )


class Sandbox:
    """Runs programs; finds out once whether bubblewrap works here."""

    def __init__(self) -> None:
        self._around: tuple[str, ...] | None = None

    async def around(self) -> tuple[str, ...]:
        """How a command in bubblewrap begins; empty where that does not work."""
        if self._around is None:
            readable = [part for path in _READABLE for part in ("--ro-bind-try", path, path)]
            candidate = (*_ENTER, *readable, *_SCRATCH)
            works = await succeeds((*candidate, "true"), 10)
            if not works:
                log.warning("no sandbox for document programs here: limits only")
            self._around = candidate if works else ()
        return self._around

    async def run(
        self,
        command: tuple[str, ...],
        limits: Limits,
        *,
        folder: Path | None = None,
        environment: tuple[tuple[str, str], ...] = (),
        streams: tuple[int, int] = _SILENCE,
    ) -> bool:
        """Run a command, `folder` its only writable place; `streams`: its standard input and output.

        False if it fails, cannot be started or takes too long.
        """
        around = await self.around()
        if around and folder is not None:
            around = (*around, "--bind", str(folder), str(folder))
        variables = tuple(f"{name}={value}" for name, value in environment)
        inner = ("env", *variables, *command) if variables else command
        return await succeeds((*limits.command(), *around, *inner), limits.wall_seconds, streams)


async def succeeds(
    command: tuple[str, ...], seconds: float, streams: tuple[int, int] = _SILENCE
) -> bool:
    """Run a command; False if it fails, cannot be started or takes too long."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=streams[0],
            stdout=streams[1],
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return False
    try:
        return await asyncio.wait_for(process.wait(), seconds) == 0
    except TimeoutError:
        return False
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
