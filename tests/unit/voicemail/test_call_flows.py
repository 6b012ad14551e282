"""The call flows of docs/protocols/voicemail.md are what happens."""

import asyncio
import re
from pathlib import Path

import pytest

from tests.support.call_transcript import Transcript, transcripts
from voicemail.keymaps import ASTERISK, FREESWITCH
from voicemail.menu import Context

PAGE = Path(__file__).parents[3] / "docs/protocols/voicemail.md"
FLOWS = transcripts(PAGE)
ROW = re.compile(r"^\| `([a-z-]+)`[^|]*\| (.*) \| (.*) \|$", re.MULTILINE)
RUN = re.compile(r"`(\d)` to `(\d)`")


@pytest.mark.parametrize("flow", FLOWS)
def test_the_documented_call(flow):
    """Every prompt, every key and what lies in the mailbox afterwards."""
    asyncio.run(Transcript(FLOWS[flow]).run())


def test_the_document_has_its_flows():
    """None of them is passed over because its fence is misspelt."""
    assert len(FLOWS) >= 25


def test_the_table_of_keys_is_that_of_the_maps():
    """Every place, and in each the keys that mean something there."""
    rows = {place: cells for place, *cells in ROW.findall(PAGE.read_text("utf-8"))}
    assert set(rows) == set(Context)
    for place, (asterisk, freeswitch) in rows.items():
        told = keys_told(asterisk)
        if "as `main`" in asterisk:
            told |= set(ASTERISK[Context.MAIN])
        assert told == set(ASTERISK[Context(place)])
        other = told if freeswitch == "the same" else keys_told(freeswitch)
        assert other == set(FREESWITCH[Context(place)])


def keys_told(cell):
    """The keys that a cell of the table names, those of a run (`0` to `4`) too."""
    runs = {str(key) for low, high in RUN.findall(cell) for key in range(int(low), int(high) + 1)}
    return runs | set(re.findall(r"`([0-9*#])`", cell))
