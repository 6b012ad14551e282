"""The drawing of a recording."""

import asyncio
from array import array

import pytest

from um.core.errors import RefusedDocumentError
from voicemail.mp3 import encode_mp3
from voicemail.waveform import BARS, SHORTEST, TALLEST, Waveforms, heights


def test_a_wave_is_as_tall_as_its_loudest_sample():
    """The loudest stretch fills the drawing, silence is the shortest bar."""
    drawn = heights(array("h", [0] * 800 + [100] * 800 + [-20_000] * 800), bars=3)
    assert drawn[0] == SHORTEST
    assert SHORTEST < drawn[1] < TALLEST
    assert drawn[2] == TALLEST


@pytest.mark.parametrize("samples", [0, 1, BARS - 1, BARS, 10_007])
def test_any_length_gives_all_bars(samples):
    drawn = heights(array("h", [-32768] * samples))
    assert len(drawn) == BARS
    assert all(SHORTEST <= each <= TALLEST for each in drawn)


def test_an_mp3_is_drawn_and_words_are_refused():
    tone = array("h", [(at % 20 - 10) * 1000 for at in range(8000)])
    assert max(asyncio.run(Waveforms().draw(encode_mp3(tone)))) == TALLEST
    with pytest.raises(RefusedDocumentError):
        asyncio.run(Waveforms().draw(b"words"))
