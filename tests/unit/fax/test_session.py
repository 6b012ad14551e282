"""A whole fax between two SpanDSP ends, faster than real time: what is confirmed, and when."""

import random
from contextlib import closing

import pytest

from fax.libtiff import decode
from fax.pages import salvage
from fax.tiff import read_pages
from tests.support.fax_line import TICKS_A_SECOND, FaxLine
from tests.support.fax_machine import SendingFax
from tests.support.tiffs import FINE, text_page, write_tiff


@pytest.fixture
def two_pages(tmp_path):
    pages = [text_page("first"), text_page("second", rows=300)]
    return write_tiff(tmp_path / "sent.tif", pages)


@pytest.mark.parametrize("ecm", [True, False])
@pytest.mark.parametrize("modem", ["v17", "v29", "v27ter"])
def test_two_pages_arrive_bit_for_bit(tmp_path, two_pages, ecm, modem):
    """Every modem, with and without ECM: both pages kept and confirmed, pixels as sent."""
    line = FaxLine(SendingFax(two_pages, ecm=ecm, modem=modem), tmp_path)
    with closing(line):
        line.run()
        assert line.ended.complete
        assert line.sender.result.pages_confirmed == 2
        assert line.session.statistics.ecm is ecm
        assert line.session.remote_identity == "+15550009999"
    kept = [(tmp_path / f"page-000{number}.tif").read_bytes() for number in (1, 2)]
    sent = salvage([two_pages.read_bytes()]).pages
    assert [page.rows for page in salvage(kept).pages] == [400, 300]
    assert [decode(page).bitmap for page in salvage(kept).pages] == [
        decode(page).bitmap for page in sent
    ]


@pytest.mark.parametrize("seed", range(6))
def test_ecm_makes_lost_packets_good(tmp_path, two_pages, seed):
    """One packet in 200 lost: both pages are dot for dot as they were sent."""
    dice = random.Random(seed)
    lost = {tick for tick in range(10_000) if dice.random() < 0.005}
    line = FaxLine(SendingFax(two_pages), tmp_path, lost=lost.__contains__)
    with closing(line):
        line.run()
    kept = [(tmp_path / f"page-000{number}.tif").read_bytes() for number in (1, 2)]
    sent = salvage([two_pages.read_bytes()]).pages
    assert [decode(page).bitmap for page in salvage(kept).pages] == [
        decode(page).bitmap for page in sent
    ]
    assert line.sender.result.pages_confirmed == 2


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("ecm", [True, False])
def test_a_bad_line_never_confirms_what_is_not_kept(tmp_path, two_pages, seed, ecm):
    """One packet in 30 lost: however it ends, each page the sender counts is a whole file."""
    dice = random.Random(seed)
    lost = {tick for tick in range(20_000) if dice.random() < 0.033}
    line = FaxLine(SendingFax(two_pages, ecm=ecm), tmp_path, lost=lost.__contains__)
    with closing(line):
        line.run(limit_seconds=400)
    kept = sorted(tmp_path.glob("page-*.tif"))
    assert line.sender.result.pages_confirmed <= len(kept)
    if kept:
        assert salvage([page.read_bytes() for page in kept]).dropped == 0


def test_a_fine_page_keeps_its_resolution(tmp_path):
    """204 x 196: the sender's resolution is in the kept page."""
    sent = write_tiff(tmp_path / "sent.tif", [text_page("fine", rows=500)], dpi=FINE)
    with closing(FaxLine(SendingFax(sent), tmp_path)) as line:
        line.run()
    (page,) = read_pages((tmp_path / "page-0001.tif").read_bytes())
    assert (page.x_dpi, page.y_dpi) == (204, 196)


@pytest.mark.parametrize("ecm", [True, False])
@pytest.mark.parametrize("seconds", [0.5, 2, 2.8, 3.4, 4, 6, 8])
def test_a_page_is_confirmed_after_it_is_safe_however_long_that_takes(
    tmp_path, two_pages, ecm, seconds
):
    """Nothing but silence until the page is safe; then the sender hears its confirmation."""
    wait = int(seconds * TICKS_A_SECOND)
    line = FaxLine(
        SendingFax(two_pages, ecm=ecm), tmp_path, page=lambda _, waited: waited >= wait or None
    )
    with closing(line):
        line.run()
        assert line.ended.complete
        assert line.sender.result.pages_confirmed == 2
        for number in (1, 2):
            assert line.first_sound[number] > line.page_decided[number]
            assert line.page_decided[number] - line.page_came[number] >= wait


@pytest.mark.parametrize("ecm", [True, False])
@pytest.mark.parametrize("delay_seconds", [0, 1, 3.3])
@pytest.mark.parametrize("bad", [1, 2])
def test_a_page_that_cannot_be_kept_is_never_confirmed(
    tmp_path, two_pages, ecm, bad, delay_seconds
):
    """The sender hears a DCN instead and knows that this page did not arrive."""

    def page(number, waited):
        if number != bad:
            return True
        return False if waited >= delay_seconds * TICKS_A_SECOND else None

    with closing(FaxLine(SendingFax(two_pages, ecm=ecm), tmp_path, page=page)) as line:
        line.run()
        assert line.ended == type(line.ended)(complete=False, detail="no room")
        assert line.sender.result.pages_confirmed == bad - 1
        assert "DCN" in line.sender.result.text


def test_a_page_that_is_never_safe_is_given_up_before_the_sender_does(tmp_path, two_pages):
    """After 11 s the call is broken off; the sender counts no page."""
    line = FaxLine(SendingFax(two_pages), tmp_path, page=lambda _number, _waited: None)
    with closing(line):
        line.run()
        assert not line.ended.complete
        assert "in time" in line.ended.detail
        assert line.sender.result.pages_confirmed == 0


def test_the_page_after_the_last_one_allowed_is_refused(tmp_path, two_pages):
    """SpanDSP knows no limit of pages; the session does."""
    with closing(FaxLine(SendingFax(two_pages), tmp_path, max_pages=1)) as line:
        line.run()
        assert line.ended.detail == "more than 1 pages"
        assert line.sender.result.pages_confirmed == 1
    assert not (tmp_path / "page-0002.tif").exists()


def test_a_hang_up_in_the_second_page_leaves_the_first(tmp_path, two_pages):
    """What was confirmed stays; the session says that it was not all."""
    with closing(FaxLine(SendingFax(two_pages), tmp_path)) as line:
        line.run(until=lambda: line.sender.pages_confirmed == 1)
        for _ in range(60):
            line.tick()
        line.session.stop("the sender hung up")
        line.tick()
        assert line.ended == type(line.ended)(complete=False, detail="the sender hung up")
    assert (tmp_path / "page-0001.tif").exists()
    assert not (tmp_path / "page-0002.tif").exists()


def test_a_hang_up_after_the_last_confirmation_is_a_complete_fax(tmp_path, two_pages):
    """BYE may overtake the sender's DCN."""
    with closing(FaxLine(SendingFax(two_pages), tmp_path)) as line:
        line.run(until=lambda: line.sender.pages_confirmed == 2)
        line.session.stop("the sender hung up")
        line.tick()
        assert line.ended.complete


def test_a_hang_up_while_the_last_page_is_being_stored_is_no_complete_fax(tmp_path, two_pages):
    """What is not safe yet was not confirmed."""
    line = FaxLine(SendingFax(two_pages), tmp_path, page=lambda number, _: number == 1 or None)
    with closing(line):
        line.run(until=lambda: 2 in line.page_came)
        line.session.stop("the sender hung up")
        line.tick()
        assert not line.ended.complete


def test_a_call_from_no_fax_ends_by_itself(tmp_path):
    """Silence instead of a fax machine: SpanDSP gives up, no page."""
    with closing(FaxLine(_Nobody(), tmp_path)) as line:
        line.run(until=lambda: line.session.ended)
        assert not line.ended.complete
        assert line.page_came == {}


class _Nobody:
    result = None
    pages_confirmed = 0

    def say(self):
        return bytes(320)

    def hear(self, samples):
        pass


def test_rows_that_came_damaged_are_counted_page_by_page(tmp_path):
    """Without ECM SpanDSP makes lost rows up and writes G4: the count stands in the kept page."""
    pages = [text_page("first", rows=900), text_page("second", rows=500), text_page("third")]
    file = write_tiff(tmp_path / "sent.tif", pages)
    dice = random.Random(6)
    lost = {tick for tick in range(10_000) if dice.random() < 0.006}
    line = FaxLine(
        SendingFax(file, ecm=False, modem="v29"), tmp_path, ecm=False, lost=lost.__contains__
    )
    with closing(line):
        line.run()
        assert line.ended.complete
        total = line.session.bad_rows
    counts = [
        page.bad_rows
        for number in (1, 2, 3)
        for page in read_pages((tmp_path / f"page-000{number}.tif").read_bytes())
    ]
    assert sum(counts) == total
    assert any(counts[:2])  # not only of the last one
    assert list(line.bad_rows.values()) == counts
