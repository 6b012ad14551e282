"""How the suite runs beside itself: which tests come first, and who gives way to whom.

With workers (`-n`), a module is run by one of them, so that what its tests share is started once.
Tests that place real calls mostly wait, but need the processor at once when a packet is due; the
others only compute. So the former come first, and a worker that has come to the latter steps back.
"""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

REAL_TIME = Path(__file__).parent / "end_to_end"
LONGEST = (
    "test_call_faults",
    "test_fax_faults",
    "test_fax_call",
    "test_purge_faults",
    "test_cli",
    "test_lmtp_faults",
    "test_serve",
    "test_voicemail",
    "test_asterisk",
)
"""Modules that are begun first, so that no worker is left with one of them at the end."""
GIVE_WAY = 10
"""Steps of niceness: a tenth of the processor where another wants it."""


class Failures:
    """Says at once which test has failed, and why in a line: a full run takes long to its summary."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called where the terminal is, also for the tests of workers."""
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and terminal is not None:
            why = getattr(getattr(report.longrepr, "reprcrash", None), "message", "")
            terminal.write_line(
                f"\n{report.when} failed: {report.nodeid}: {why.partition(chr(10))[0]}"
            )


def pytest_configure(config: pytest.Config) -> None:
    """On the terminal's side only."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Failures(config))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Real time before computing, long before short, else as written."""
    items.sort(key=_turn)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give way to the real-time tests of the other workers, from the first computing test on."""
    if hasattr(item.config, "workerinput") and REAL_TIME not in item.path.parents:
        os.setpriority(os.PRIO_PROCESS, 0, max(GIVE_WAY, os.getpriority(os.PRIO_PROCESS, 0)))


@pytest.fixture(scope="module", autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """What a module has done to the logs of this process ends with it: a command run here quiets them."""
    kept, root = structlog.get_config(), logging.getLogger()
    level = root.level
    yield
    structlog.configure(**kept)
    root.setLevel(level)
    for handler in root.handlers[:]:
        if isinstance(handler.formatter, structlog.stdlib.ProcessorFormatter):
            root.removeHandler(handler)


def _turn(item: pytest.Item) -> tuple[bool, int]:
    name = item.path.stem
    order = LONGEST.index(name) if name in LONGEST else len(LONGEST)
    return REAL_TIME not in item.path.parents, order


# An example may take long because another worker has the processor: that says nothing of the code.
settings.register_profile(
    "beside-others",
    parent=settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("beside-others")
