"""The lock of a data folder."""

import subprocess
import sys

import pytest

from storage import locks


def test_commands_share_and_a_repair_is_alone(tmp_path):
    """Any number share it; who wants it alone is refused with a reason, and the other way round."""
    data = tmp_path / "data"
    with (
        locks.hold(data),
        locks.hold(data),
        pytest.raises(locks.DataFolderBusyError, match="stop them first"),
        locks.hold(data, exclusive=True),
    ):
        pass
    with (
        locks.hold(data, exclusive=True),
        pytest.raises(locks.DataFolderBusyError, match="try again later"),
        locks.hold(data),
    ):
        pass


def test_a_killed_process_lets_go(tmp_path):
    """The kernel releases the lock of a process that was killed."""
    code = (
        "import pathlib, sys\nfrom storage import locks\n"
        "with locks.hold(pathlib.Path(sys.argv[1]), exclusive=True):\n"
        "    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(locks.DataFolderBusyError), locks.hold(tmp_path):
            pass
        process.kill()
    with locks.hold(tmp_path, exclusive=True):
        pass


def test_a_folder_has_one_server(tmp_path):
    """A second one is refused by name; commands beside it are not, and a repair waits for both."""
    with locks.serve_alone(tmp_path), locks.hold(tmp_path):
        with (
            pytest.raises(locks.DataFolderBusyError, match="Another um serve"),
            locks.serve_alone(tmp_path),
        ):
            pass
        with locks.hold(tmp_path):
            pass
    with locks.serve_alone(tmp_path):
        pass
