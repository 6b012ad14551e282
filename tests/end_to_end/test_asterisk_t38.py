"""Faxes over T.38 sent by Asterisk 22: by our re-INVITE, by its own, refused, and through Kamailio.

All over T.38 are sent at once, since a fax takes its own time; each test looks at one. Those over G.711
go first: a modem wants the machine's attention.
"""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

import pytest

from tests.support.asterisk import Asterisk
from tests.support.asterisk_fax import FAX_MACHINE, G711_ONLY, AsteriskSent, send_fax
from tests.support.fax_pixels import pages_of_pdf, same_pixels
from tests.support.inbox import PASSWORD, Found, check_books, read_inbox, wait_for_mail
from tests.support.kamailio import Kamailio
from tests.support.server import Address, Server
from tests.support.tiffs import text_page

pytestmark = pytest.mark.slow

PAGES = [text_page(f"page {n} by Asterisk", rows=240, spacing=110) for n in range(1, 6)]
OWNER = "anna"
ITS_REINVITE = "z"
"""Option of SendFAX: it asks for T.38 itself, after about 10 s."""


@dataclass(frozen=True)
class Case:
    """One fax: whose, by which of Asterisk's endpoints, and what becomes of it."""

    number: str
    endpoint: str
    pages: int = 1
    ecm: bool = True
    options: str = ""
    mode: str = "T.38"


CASES = {
    "our re-INVITE, 5 pages": Case("+15551230001", "um-t38", pages=5),
    "our re-INVITE, no ECM": Case("+15551230002", "um-t38", pages=2, ecm=False),
    "our re-INVITE, FEC": Case("+15551230003", "um-fec"),
    "its re-INVITE": Case("+15551230004", "um-takes", options=ITS_REINVITE),
    "its re-INVITE, 5 pages, no ECM": Case(
        "+15551230005", "um-takes", pages=5, ecm=False, options=ITS_REINVITE
    ),
    "T.38 refused": Case("+15551230006", "um-plain", options=G711_ONLY, mode="G.711"),
    "T.38 switched off": Case("+15551230007", "um-off", options=G711_ONLY, mode="G.711"),
    "through Kamailio": Case("+15551230008", "um-proxy", pages=2),
}

ENDPOINT = """
[{name}]
type = aor
contact = sip:{place}
[{name}]
type = endpoint
transport = udp
aors = {name}
context = um-nothing
disallow = all
allow = ulaw,alaw
direct_media = no
send_pai = yes
trust_id_outbound = yes
t38_udptl = {t38}
t38_udptl_ec = {correction}
t38_udptl_maxdatagram = 400
t38_bind_udptl_to_media_address = yes
media_address = 127.0.0.1
bind_rtp_to_media_address = yes
"""


def endpoint(name: str, place: Address, *, t38: bool = True, correction: str = "redundancy") -> str:
    return ENDPOINT.format(
        name=name,
        place=f"{place.host}:{place.port}",
        t38="yes" if t38 else "no",
        correction=correction,
    )


@dataclass(frozen=True)
class Houses:
    """The servers, and the Asterisk that calls them."""

    servers: Mapping[str, Server]
    """By endpoint."""
    asterisk: Asterisk
    kamailio: Kamailio


def server(stack: ExitStack, factory: pytest.TempPathFactory, **fax: object) -> Server:
    """A server with one account that has all the numbers, each a fax."""
    overrides = {"telephony": {"listen": ["udp:127.0.0.1:0"]}, "fax": fax}
    running = stack.enter_context(
        Server(factory.mktemp("um"), overrides=overrides, goes_first=True)
    )
    numbers = [f"{case.number}:fax" for case in CASES.values()]
    running.add_account(OWNER, password=PASSWORD, numbers=numbers)
    return running


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Houses]:
    with ExitStack() as stack:
        offers = server(stack, tmp_path_factory)
        takes = server(stack, tmp_path_factory, t38_offer_seconds=0.0)
        off = server(stack, tmp_path_factory, enable_t38=False)
        sip = offers.address("sip")
        kamailio = stack.enter_context(
            Kamailio(tmp_path_factory.mktemp("kamailio"), um=sip, http=offers.address("http"))
        )
        more = "".join(
            (
                endpoint("um-t38", sip),
                endpoint("um-fec", sip, correction="fec"),
                endpoint("um-takes", takes.address("sip")),
                endpoint("um-plain", sip, t38=False),
                endpoint("um-off", off.address("sip")),
                endpoint("um-proxy", kamailio.sip),
            )
        )
        asterisk = stack.enter_context(
            Asterisk(
                tmp_path_factory.mktemp("asterisk"),
                um=sip,
                dialplan=FAX_MACHINE,
                changes={"send_diversion = yes": f"send_diversion = yes\n{more}"},
                goes_first=True,
            )
        )
        servers = dict.fromkeys(("um-t38", "um-fec", "um-plain", "um-proxy"), offers)
        yield Houses({**servers, "um-takes": takes, "um-off": off}, asterisk, kamailio)


@pytest.fixture(scope="module")
def sent(houses: Houses) -> Mapping[str, AsteriskSent]:
    """What the sender thinks of each fax."""

    def send(case: Case) -> AsteriskSent:
        return send_fax(
            houses.asterisk,
            case.number,
            PAGES[: case.pages],
            ecm=case.ecm,
            options=case.options,
            channel=f"PJSIP/{{number}}@{case.endpoint}",
        )

    results: dict[str, AsteriskSent] = {}
    with ThreadPoolExecutor(len(CASES)) as pool:
        for mode in ("G.711", "T.38"):
            wave = {name: case for name, case in CASES.items() if case.mode == mode}
            results.update(zip(wave, pool.map(send, wave.values()), strict=True))
    return results


def the_fax(houses: Houses, case: Case) -> EmailMessage:
    """The only message to its number."""

    def to_the_number(found: Found) -> bool:
        return f"{case.number}@" in str(found.message["To"])

    (found,) = wait_for_mail(houses.servers[case.endpoint], OWNER, wanted=to_the_number)
    return found.message


@pytest.mark.parametrize("name", CASES)
def test_a_fax_arrives_dot_for_dot(
    houses: Houses, sent: Mapping[str, AsteriskSent], name: str
) -> None:
    """The sender had every page confirmed, and the PDF has them as they were sent.

    Without ECM too: no packet is lost on loopback.
    """
    case, result = CASES[name], sent[name]
    assert (result.status, result.pages, result.bit_rate) == ("SUCCESS", case.pages, 14400)
    assert result.remote_station == case.number
    message = the_fax(houses, case)
    text, pdf = message.iter_parts()
    assert f"Error correction: {'yes' if case.ecm else 'no'}" in text.get_content()
    assert "Result: complete" in text.get_content()
    assert same_pixels(PAGES[: case.pages], pages_of_pdf(pdf.get_content()))
    assert ended(houses, case)["mode"] == case.mode


def logged(houses: Houses, case: Case, event: str) -> list[dict[str, Any]]:
    """The server's log lines of that event."""
    lines = map(json.loads, houses.servers[case.endpoint].log_text().splitlines())
    return [line for line in lines if line["event"] == event]


def ended(houses: Houses, case: Case) -> dict[str, Any]:
    """How the fax went, as the log has it."""
    (line,) = [each for each in logged(houses, case, "fax.ended") if each["number"] == case.number]
    return line


@pytest.mark.parametrize("endpoint", ["um-t38", "um-takes", "um-off"])
def test_the_books_are_right(
    houses: Houses, sent: Mapping[str, AsteriskSent], endpoint: str
) -> None:
    """Sizes, quota and UIDs, when all is in."""
    house = houses.servers[endpoint]
    names = [name for name, case in CASES.items() if houses.servers[case.endpoint] is house]
    assert all(sent[name].success for name in names)
    found = read_inbox(house, OWNER)
    assert len(found) == len(names)
    check_books(house, OWNER, found)


def test_the_log_tells_who_offered_t38(houses: Houses, sent: Mapping[str, AsteriskSent]) -> None:
    """Ours is taken or refused with 488; where the core offers we do not, nor when it is off."""
    assert all(result.success for result in sent.values())
    ours, its, off = (
        CASES[name] for name in ("T.38 refused", "its re-INVITE", "T.38 switched off")
    )
    assert len(logged(houses, ours, "telephony.t38-offered")) == 5
    (refused,) = logged(houses, ours, "telephony.offer-refused")
    assert refused["status"] == 488
    assert len(logged(houses, its, "fax.media-changed")) == 2
    for case in (its, off):
        assert logged(houses, case, "telephony.t38-offered") == []
    assert logged(houses, off, "fax.media-changed") == []


def test_our_reinvite_takes_the_way_through_the_proxy(
    houses: Houses, sent: Mapping[str, AsteriskSent]
) -> None:
    """Record-Route: the INVITE and its ACK go by Kamailio, like everything in the call."""
    assert sent["through Kamailio"].success
    port = houses.servers["um-proxy"].address("sip").port
    said = houses.kamailio.said()
    for method in ("INVITE", "ACK"):
        assert f"within dialog: {method} from 127.0.0.1:{port} " in said
