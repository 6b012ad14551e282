"""A whole fax over T.38 between two SpanDSP ends, faster than real time, over good and bad networks."""

import random
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fax.libtiff import decode
from fax.medium import LineCounts, T38Medium, Terms
from fax.pages import salvage
from fax.protocol import Media
from tests.support.relay import Profile
from tests.support.t38_line import TICKS_A_SECOND, T38Line
from tests.support.t38_machine import SendingT38
from tests.support.tiffs import text_page, write_tiff
from um.telephony.rtp.packet import RtpPacket
from um.telephony.udptl import UdptlDatagram, encode


@pytest.fixture
def two_pages(tmp_path):
    pages = [text_page("first"), text_page("second", rows=300)]
    return write_tiff(tmp_path / "sent.tif", pages)


def bitmaps(files):
    return [decode(page).bitmap for page in salvage(files).pages]


def kept(folder):
    return [file.read_bytes() for file in sorted(folder.glob("page-*.tif"))]


def assert_all_arrived(line, folder, sent):
    """Both pages confirmed, and dot for dot what was sent."""
    assert line.ended.complete
    assert line.sender.result.code == 0
    assert line.sender.result.pages_confirmed == 2
    assert bitmaps(kept(folder)) == bitmaps([sent.read_bytes()])


@pytest.mark.parametrize("ecm", [True, False])
@pytest.mark.parametrize("modem", ["v17", "v29", "v27ter"])
def test_two_pages_arrive_bit_for_bit(tmp_path, two_pages, ecm, modem):
    """Every modem, with and without ECM: both pages kept and confirmed, pixels as sent."""
    line = T38Line(SendingT38(two_pages, ecm=ecm, modem=modem), tmp_path)
    with closing(line):
        line.run()
        assert line.session.statistics.ecm is ecm
        assert line.session.remote_identity == "+15550009999"
        assert line.session.bad_rows == 0
    assert_all_arrived(line, tmp_path, two_pages)


@pytest.mark.parametrize("ecm", [True, False])
@pytest.mark.parametrize("loss", [0, 0.05, 0.10, 0.15])
@pytest.mark.parametrize("seed", range(3))
def test_redundancy_of_three_carries_a_fax_over_a_bad_network(tmp_path, two_pages, loss, ecm, seed):
    """Up to 15 % lost, others overtaken or doubled: with ECM every dot arrives, without it nearly."""
    there = Profile(loss=loss, reorder=0.05, reorder_by=3, duplicate=0.05, seed=seed)
    line = T38Line(SendingT38(two_pages, ecm=ecm), tmp_path, there=there)
    with closing(line):
        line.run()
        assert line.medium.counts.recovered > 20 * loss
        assert line.medium.counts.bad_packets == 0
    if ecm or not line.medium.counts.lost:
        assert_all_arrived(line, tmp_path, two_pages)
    assert line.sender.result.pages_confirmed <= len(kept(tmp_path))


@pytest.mark.parametrize("seed", range(4))
def test_parity_carries_a_fax_over_a_bad_network(tmp_path, two_pages, seed):
    """FEC of 3 x 3, 5 % lost; what we send is made good by parity, too."""
    sender = SendingT38(two_pages, recovery="parity")
    there = Profile(loss=0.05, seed=seed)
    with closing(T38Line(sender, tmp_path, recovery="parity", there=there)) as line:
        line.run()
        assert line.medium.counts.recovered > 0
    assert_all_arrived(line, tmp_path, two_pages)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("ecm", [True, False])
def test_a_network_beyond_repair_never_confirms_what_is_not_kept(tmp_path, two_pages, ecm, seed):
    """Bursts of loss, no recovery, both ways: each page the sender counts is a whole file."""
    dice = random.Random(seed)
    bad = Profile(loss=dice.choice([0.02, 0.05, 0.2]), burst=dice.choice([1, 4, 12]), seed=seed)
    line = T38Line(
        SendingT38(two_pages, ecm=ecm, recovery="none"),
        tmp_path,
        recovery="none",
        there=bad,
        back=bad,
    )
    with closing(line):
        line.run(limit_seconds=600)
    pages = kept(tmp_path)
    assert line.sender.result.pages_confirmed <= len(pages)
    if pages:
        assert salvage(pages).dropped == 0


def test_training_may_be_checked_at_each_end(tmp_path, two_pages):
    """T38FaxRateManagement:localTCF, where the far end offers it."""
    sender = SendingT38(two_pages, local_tcf=True)
    with closing(T38Line(sender, tmp_path, local_tcf=True)) as line:
        line.run()
    assert_all_arrived(line, tmp_path, two_pages)


@pytest.mark.parametrize("limit", [20, 40, 72])
def test_the_datagrams_we_send_keep_to_the_peers_limit(tmp_path, two_pages, limit):
    """T38FaxMaxDatagram of the peer."""
    with closing(T38Line(SendingT38(two_pages), tmp_path, max_datagram=limit)) as line:
        line.run()
        assert 0 < line.longest_datagram <= limit
    assert_all_arrived(line, tmp_path, two_pages)


@pytest.mark.parametrize("ecm", [True, False])
@pytest.mark.parametrize("seconds", [0.5, 2, 2.8, 3.4, 4, 6, 8])
def test_a_page_is_confirmed_after_it_is_safe_however_long_that_takes(
    tmp_path, two_pages, ecm, seconds
):
    """Not a packet leaves until the page is safe; then the sender hears its confirmation."""
    wait = int(seconds * TICKS_A_SECOND)
    line = T38Line(
        SendingT38(two_pages, ecm=ecm), tmp_path, page=lambda _, waited: waited >= wait or None
    )
    with closing(line):
        line.run()
        assert line.ended.complete
        assert line.sender.result.pages_confirmed == 2
        for number in (1, 2):
            assert line.first_packet[number] > line.page_decided[number]
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

    with closing(T38Line(SendingT38(two_pages, ecm=ecm), tmp_path, page=page)) as line:
        line.run()
        assert line.ended == type(line.ended)(complete=False, detail="no room")
        assert line.sender.result.pages_confirmed == bad - 1
        assert "DCN" in line.sender.result.text


def test_the_page_after_the_last_one_allowed_is_refused(tmp_path, two_pages):
    """SpanDSP knows no limit of pages; the session does."""
    with closing(T38Line(SendingT38(two_pages), tmp_path, max_pages=1)) as line:
        line.run()
        assert line.ended.detail == "more than 1 pages"
        assert line.sender.result.pages_confirmed == 1
    assert len(kept(tmp_path)) == 1


def test_a_hang_up_in_the_second_page_leaves_the_first(tmp_path, two_pages):
    """What was confirmed stays; the session says that it was not all."""
    with closing(T38Line(SendingT38(two_pages), tmp_path)) as line:
        line.run(until=lambda: line.sender.pages_confirmed == 1)
        line.session.stop("the sender hung up")
        line.tick()
        assert line.ended == type(line.ended)(complete=False, detail="the sender hung up")
    assert len(kept(tmp_path)) == 1


def test_a_hang_up_after_the_last_confirmation_is_a_complete_fax(tmp_path, two_pages):
    """BYE may overtake the sender's DCN."""
    with closing(T38Line(SendingT38(two_pages), tmp_path)) as line:
        line.run(until=lambda: line.sender.pages_confirmed == 2)
        line.session.stop("the sender hung up")
        line.tick()
        assert line.ended.complete


def test_rubbish_moves_nothing(tmp_path, two_pages):
    """Datagrams that are no UDPTL are refused, counted, and the fax arrives."""
    dice = random.Random(3)
    with closing(T38Line(SendingT38(two_pages), tmp_path)) as line:
        for _ in range(400):
            line.tick()
            assert not line.medium.receive(dice.randbytes(2) + b"\x7f" * 20, line.seconds)
        line.run()
        assert line.medium.counts.bad_packets == 400
    assert_all_arrived(line, tmp_path, two_pages)


def test_late_rtp_of_the_same_call_moves_nothing(tmp_path):
    """What was under way when both sides changed over, though it may read as UDPTL."""
    media = Media("192.0.2.7", 4000, 0, t38=True, max_datagram=400, correction="t38UDPRedundancy")
    terms = Terms(tmp_path / "receiving.tif", station_id="1", ecm=True, max_pages=1)
    rtp = RtpPacket(0, False, 0x9C00, 0, 77, bytes(160)).encode()
    with closing(T38Medium(media, terms, old_ssrc=77)) as medium:
        assert not medium.receive(rtp, 0.0)
        assert medium.counts == LineCounts()


class GarblingT38(SendingT38):
    """A machine, or a gateway, that says a packet in fifty wrongly."""

    def __init__(self, file, seed):
        self._dice = random.Random(seed)
        super().__init__(file)

    def _on_packet(self, core, data, octets, size, times):
        super()._on_packet(core, data, octets, size, times)
        if self._dice.random() < 0.02:
            ifp, times = self._out.pop()
            self._out.append((garbled(ifp, self._dice), times))
        return 0


def garbled(ifp, dice):
    """With a bit turned, cut short, prolonged, or something else."""
    at = dice.randrange(len(ifp))
    turned = bytes([ifp[at] ^ 1 << dice.randrange(8)])
    return dice.choice(
        [
            ifp[:at] + turned + ifp[at + 1 :],
            ifp[: at + 1],
            ifp + dice.randbytes(1 + dice.randrange(200)),
            dice.randbytes(1 + dice.randrange(300)),
        ]
    )


@pytest.mark.parametrize("seed", range(12))
def test_packets_that_are_wrong_cost_their_fax_at_most(tmp_path, two_pages, seed):
    """SpanDSP reads on whatever comes; each page the sender counts is a whole file."""
    with closing(T38Line(GarblingT38(two_pages, seed), tmp_path)) as line:
        line.run(until=lambda: line.session.ended or line.seconds > 100)
        assert line.sender.pages_confirmed <= len(kept(tmp_path))
    assert not kept(tmp_path) or salvage(kept(tmp_path)).dropped == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=30))
def test_any_datagrams_leave_the_terminal_alive(datagrams):
    """Hostile UDPTL and hostile packets in it: SpanDSP goes on, nothing is raised."""
    media = Media("192.0.2.7", 4000, 0, t38=True, max_datagram=400, correction="t38UDPFEC")
    with (
        TemporaryDirectory() as folder,
        closing(
            T38Medium(
                media,
                Terms(Path(folder) / "receiving.tif", station_id="1", ecm=True, max_pages=1),
            )
        ) as medium,
    ):
        for number, data in enumerate(datagrams):
            medium.receive(data, number * 0.02)
            medium.receive(encode(UdptlDatagram(number, data)), number * 0.02)
            medium.tick(number * 0.02)
