"""docs/decisions: each record has a number of its own and one line in the list."""

import re
from collections import Counter
from pathlib import Path

DECISIONS = Path(__file__).resolve().parents[2] / "docs" / "decisions"
RECORDS = sorted(path.name for path in DECISIONS.glob("[0-9]*.md"))


def test_every_record_has_a_number_of_its_own() -> None:
    numbers = [name[:4] for name in RECORDS]
    assert numbers == [f"{number:04}" for number in range(1, len(RECORDS) + 1)]


def test_every_record_is_listed_once_under_its_number() -> None:
    listed = re.findall(
        r"^\| \[(\d{4})\]\((\S+)\)", (DECISIONS / "README.md").read_text(), re.MULTILINE
    )
    assert Counter(listed) == Counter((name[:4], name) for name in RECORDS)
