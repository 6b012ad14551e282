"""A coverage-guided fuzzer over what strangers reach: the IMAP engine, and the scan of a message.

`python -m pip install -r requirements/fuzz.txt`, then `python -m bench.imap_fuzz --seconds 60`
(CPython 3.11 to 3.13, as the wheels of atheris go). It stops at the first input that breaks a law
and leaves it in `crash-*` of the folder that it was started in. The laws are those of
`tests/support/imap_noise.py`; `tests/unit/imap/test_fuzz.py` tries them at every run of the tests.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import atheris  # type: ignore[import-not-found, unused-ignore]

with atheris.instrument_imports(include=["imap_server", "um.mime"]):
    from imap_server.state import State
    from tests.support.imap_noise import FRAGMENTS, drive
    from um.mime.index import PartIndex
    from um.mime.scan import scan
    from um.mime.text import searchable_text

from tests.support.awkward_mail import AWKWARD
from tests.support.imap_values import values

STATES = (State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED)


def one_input(data: bytes) -> None:
    """The first octet says which part is tried."""
    if not data:
        return
    if data[0] & 1:
        message(data[1:])
    else:
        engine(data[0] >> 1, data[1:])


def engine(choice: int, data: bytes) -> None:
    """The octets whole, and in pieces of a few."""
    state, size = STATES[choice % 3], choice // 3 + 1
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert drive(pieces, state) == drive([data], state)


def message(data: bytes) -> None:
    """A scan never fails, and what it renders is IMAP."""
    scanned = scan(data)
    for rendered in (scanned.envelope, scanned.body, scanned.bodystructure):
        assert len(values(rendered)) == 1
    searchable_text(data, PartIndex.decode(scanned.structure))


def seeds(folder: Path) -> None:
    """Inputs to begin with."""
    noise = b"".join(FRAGMENTS)
    for number in range(6):
        (folder / f"engine-{number}").write_bytes(bytes((2 * number,)) + noise)
    for number, raw in enumerate(AWKWARD.values()):
        (folder / f"mail-{number}").write_bytes(b"\x01" + raw[:4000])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path, help="keeps what was found worth keeping")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.corpus or Path(temporary)
        folder.mkdir(exist_ok=True)
        seeds(folder)
        options = [f"-max_total_time={arguments.seconds}", "-max_len=8000", "-rss_limit_mb=1500"]
        atheris.Setup([sys.argv[0], *options, str(folder)], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
