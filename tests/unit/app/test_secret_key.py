"""The house's own key: made once, whole, for nobody else; a wrong one is an error."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from um.app.secret_key import FILE, read_or_make_key
from um.core.errors import UnavailableError


def test_the_key_is_made_once_and_for_us_only(tmp_path):
    """Whoever starts at the same time has the same key; nothing else is left in the folder."""
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda _: read_or_make_key(tmp_path), range(40)))
    assert len(keys) == 1
    assert len(keys.pop()) == 32
    assert [each.name for each in tmp_path.iterdir()] == [FILE]
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "ab", "xyz" * 30, "é" * 64])
def test_a_file_that_is_no_key(tmp_path, content):
    """It is told, and not replaced: links that went out would die of it."""
    (tmp_path / FILE).write_text(content)
    with pytest.raises(UnavailableError, match=FILE):
        read_or_make_key(tmp_path)
    assert (tmp_path / FILE).read_text() == content
