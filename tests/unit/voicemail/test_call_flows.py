"""The call flows of docs/protocols/voicemail.md are what happens."""

import asyncio
from pathlib import Path

import pytest

from tests.support.call_transcript import Transcript, transcripts

FLOWS = transcripts(Path(__file__).parents[3] / "docs/protocols/voicemail.md")


@pytest.mark.parametrize("flow", FLOWS)
def test_the_documented_call(flow):
    """Every prompt, every key and what lies in the mailbox afterwards."""
    asyncio.run(Transcript(FLOWS[flow]).run())


def test_the_document_has_its_flows():
    """None of them is passed over because its fence is misspelt."""
    assert len(FLOWS) >= 25
