"""Every transcript is played; each says which promise it keeps."""

from pathlib import Path

import pytest

from tests.support.imap_transcript import play_file

TRANSCRIPTS = sorted((Path(__file__).parents[2] / "transcripts").glob("*.imap"))


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript(path: Path) -> None:
    """The server says what the transcript says, line by line."""
    play_file(path)
