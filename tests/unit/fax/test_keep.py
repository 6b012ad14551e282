"""A page is safe when its octets, its name and its folder are on the disk, in that order."""

import os
from pathlib import Path

import pytest

from fax import keep
from fax.keep import RECEIVING, is_page, keep_page, read_received_page
from fax.tiff import read_pages
from tests.support.tiffs import text_page, tiff, truncated_strip
from um.core.errors import RefusedDocumentError

TWO = tiff([text_page("one"), text_page("two", rows=300)])


def test_everything_is_synced_before_it_counts(tmp_path, monkeypatch):
    """Octets synced, then renamed, then the folder synced: no other order survives a power cut."""
    done = []

    def fsync(fd, _fsync=os.fsync):
        done.append(("fsync", Path(f"/proc/self/fd/{fd}").readlink().name))
        _fsync(fd)

    def rename(self, target, _rename=Path.rename):
        done.append(("rename", Path(target).name))
        return _rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", rename)
    keep_page(tmp_path, 7, b"octets")
    assert done == [
        ("fsync", "page-0007.tif.new"),
        ("rename", "page-0007.tif"),
        ("fsync", tmp_path.name),
    ]
    assert (tmp_path / "page-0007.tif").read_bytes() == b"octets"
    assert [path.name for path in tmp_path.iterdir()] == ["page-0007.tif"]


@pytest.mark.parametrize("failing", ["fsync", "open", "rename"])
def test_a_disk_that_fails_leaves_no_page(tmp_path, monkeypatch, failing):
    """Whatever fails raises, and nothing by a page's name is there."""

    def fail(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    owner = os if failing == "fsync" else Path
    monkeypatch.setattr(owner, failing, fail)
    with pytest.raises(OSError, match="No space"):
        keep_page(tmp_path, 1, b"octets")
    monkeypatch.undo()
    left = [path.name for path in tmp_path.iterdir()]
    assert not any(map(is_page, left))
    assert (left == []) is (failing != "rename")  # on a full disk, what is there of it makes room


def test_a_page_is_read_again_from_the_disk(tmp_path):
    """Page by page out of the growing file, each a TIFF of its own."""
    (tmp_path / RECEIVING).write_bytes(TWO)
    for number, page in enumerate(read_pages(TWO), start=1):
        assert read_pages(read_received_page(tmp_path, number)) == [page]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (TWO, "Page 3 is not in the file"),
        (truncated_strip(TWO, page=1), "no such page"),
        (b"", "empty"),
    ],
)
def test_a_page_that_was_not_written_whole_is_refused(tmp_path, data, reason):
    """SpanDSP confirms pages whose writing failed; this is what notices."""
    (tmp_path / RECEIVING).write_bytes(data)
    number = 3 if data == TWO else 2
    expected = "breaks off" if reason == "no such page" else reason
    with pytest.raises(RefusedDocumentError, match=expected):
        read_received_page(tmp_path, number)


def test_no_file_is_no_page(tmp_path):
    """A disk without room gives no file at all."""
    with pytest.raises(FileNotFoundError):
        read_received_page(tmp_path, 1)


def test_only_finished_pages_count():
    """What is being written has another name."""
    assert is_page(keep.page_name(1))
    assert not is_page(f"{keep.page_name(1)}.new")
    assert not is_page(RECEIVING)
