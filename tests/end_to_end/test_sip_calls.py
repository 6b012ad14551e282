"""Real calls over UDP and RTP to a telephone server in a process of its own.

The callers are the scripted telephone and sipp; neither shares code with the server.
"""

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
from array import array
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.sipp_call import sipp_call
from tests.support.telephone import (
    Cancel,
    HangUp,
    Hold,
    Impairments,
    Mute,
    Press,
    Say,
    Silence,
    Telephone,
    WaitForBeep,
    WaitForHangUp,
)
from tests.support.telephone_rtp import tone, tone_of
from tests.unit.telephony.test_torture import EXPECTED, read

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[2]


class Server:
    """The process `tests.support.telephony_server` and what it tells."""

    def __init__(self, folder, **settings):
        words = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
        self.log = (folder / "server.log").open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.telephony_server", str(folder), *words],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
        )
        listening = self.told()["listening"][0]
        host, _, port = listening.partition(":")[2].rpartition(":")
        self.address = (host.strip("[]"), int(port))

    def told(self):
        """The next line of the server."""
        line = self.process.stdout.readline()
        assert line, "the server has ended"
        return json.loads(line)

    def uri(self, name):
        host = f"[{self.address[0]}]" if ":" in self.address[0] else self.address[0]
        return f"sip:{name}@{host}:{self.address[1]}"

    def call(self, name, steps, *, telephone=None, **facts):
        return (telephone or Telephone()).call(self.address, self.uri(name), steps, **facts)

    def recorded(self, told):
        return Path(told["file"]).read_bytes()

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.communicate(timeout=20)
        finally:
            self.process.kill()
            self.process.wait()
            self.log.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("telephony")
    started = Server(folder, rtp_ports=[24_000, 24_998], send_silence=True)
    yield started
    started.close()


def seconds_of(samples):
    return len(samples) / 16_000


def tonal_seconds(samples, hertz):
    """How much of a recording is this tone."""
    frames = [samples[start : start + 320] for start in range(0, len(samples), 320)]
    tones = [tone_of(frame) for frame in frames]
    return 0.02 * sum(found is not None and abs(found - hertz) < 10 for found in tones)


@pytest.mark.parametrize("payload_type", [0, 8])
def test_a_message_is_left(server, payload_type):
    """Answer, beep, speech, BYE: both directions have their true length and content."""
    report = server.call(
        "record",
        [WaitForBeep(5), Say(tone(440, 2.0)), HangUp()],
        telephone=Telephone(payload_type=payload_type),
        caller="+15559870001",
        caller_name="Alice",
        headers=[("Diversion", "<sip:+15551230001@pbx>;reason=no-answer")],
    )
    told = server.told()
    assert (report.status, report.provisional, report.bye_status) == (200, [100], 200)
    assert report.heard_gaps == 0
    assert seconds_of(report.heard) == pytest.approx(report.seconds, abs=0.15)
    assert tonal_seconds(report.heard, 1000) == pytest.approx(0.4, abs=0.04)
    assert told["reason"] == "caller"
    assert told["cause"] == "no-answer"
    assert (told["caller_number"], told["caller_name"]) == ("+15559870001", "Alice")
    assert told["finished"] == 1
    recorded = server.recorded(told)
    assert seconds_of(recorded) == pytest.approx(report.seconds, abs=0.25)
    assert tonal_seconds(recorded, 440) == pytest.approx(2.0, abs=0.06)


def test_what_is_said_is_heard_back(server):
    """The echo: media flows both ways at once."""
    report = server.call("echo", [Say(tone(800, 1.0)), Silence(0.3), HangUp()])
    assert server.told()["application"] == "Echo"
    assert tonal_seconds(report.heard, 800) == pytest.approx(1.0, abs=0.06)


def test_each_key_press_is_heard_once_on_a_bad_line(server):
    """RFC 4733 through loss, duplicates and disorder; `#` makes the server hang up."""
    bad = Telephone(impairments=Impairments(loss=0.05, duplicate=0.1, reorder=0.1, seed=11))
    steps = [WaitForBeep(5), Say(tone(440, 1.0)), Press("1234*#"), WaitForHangUp(5)]
    report = server.call("record", steps, telephone=bad)
    told = server.told()
    assert told["digits"] == "1234*#"
    assert told["reason"] == "application"
    assert report.hung_up_by_server
    assert seconds_of(server.recorded(told)) == pytest.approx(report.seconds, abs=0.3)


def test_a_pause_in_transmission_is_recorded_as_silence(server):
    """DTX: three seconds without a packet are three seconds of silence."""
    steps = [WaitForBeep(5), Say(tone(440, 0.5)), Mute(3.0), Say(tone(440, 0.5)), HangUp()]
    report = server.call("record", steps)
    recorded = server.recorded(server.told())
    assert seconds_of(recorded) == pytest.approx(report.seconds, abs=0.25)
    assert tonal_seconds(recorded, 440) == pytest.approx(1.0, abs=0.08)


def test_cancel_before_the_answer(server):
    """CANCEL 200, INVITE 487; the application is told that the caller left."""
    report = server.call("slow", [Cancel(0.3)])
    assert (report.status, report.provisional) == (487, [100])
    assert server.told()["reason"] == "caller"


def test_an_unknown_number_is_404(server):
    assert server.call("nobody", []).status == 404


def test_a_refusal_is_spoken(server):
    """With an announcement the call is answered, spoken to, and hung up by us."""
    report = server.call("closed", [WaitForHangUp(5)])
    assert report.status == 200
    assert report.hung_up_by_server
    assert tonal_seconds(report.heard, 600) == pytest.approx(0.5, abs=0.06)


def test_an_application_that_fails_loses_its_own_call_only(server):
    """BYE to the caller, `ended(failure)` to the application; the next call works."""
    report = server.call("crash", [Say(tone(440, 1.0)), WaitForHangUp(5)])
    assert report.hung_up_by_server
    assert server.told()["reason"] == "failure"
    assert server.call("echo", [Silence(0.1), HangUp()]).status == 200
    server.told()


def test_the_media_socket_is_handed_over(server):
    """HandOver, then another owner speaks from the same port and goes on in sequence."""
    steps = [Silence(0.2), Say(tone(440, 0.1)), WaitForBeep(5, whole_seconds=1.0), HangUp()]
    report = server.call("fax", steps)
    assert server.told()["event"] == "taken"
    assert server.told()["reason"] == "caller"
    assert tonal_seconds(report.heard, 700) == pytest.approx(1.0, abs=0.06)
    assert report.heard_gaps == 0


def test_hold_and_resume(server):
    """A re-INVITE to sendonly silences us; sendrecv brings the audio back; the call lives."""
    steps = [
        Say(tone(800, 0.5)),
        Silence(0.2),
        Hold("sendonly"),
        Say(tone(500, 0.5)),
        Hold("sendrecv"),
        Silence(0.8),
        Say(tone(800, 0.5)),
        Silence(1.2),  # what was echoed during the hold comes first
        HangUp(),
    ]
    report = server.call("echo", steps)
    assert report.bye_status == 200
    assert server.told()["reason"] == "caller"
    assert tonal_seconds(report.heard, 800) == pytest.approx(1.0, abs=0.1)


def test_an_invite_without_an_offer(server):
    """We offer in the 200, the answer is in the ACK (RFC 3264 §5)."""
    report = server.call(
        "record", [WaitForBeep(5), Say(tone(440, 0.5)), HangUp()], with_offer=False
    )
    assert report.status == 200
    assert tonal_seconds(server.recorded(server.told()), 440) == pytest.approx(0.5, abs=0.06)


def test_sipp_leaves_a_message(server, tmp_path):
    """An independent telephone: what it plays is what is recorded."""
    report = sipp_call(
        server.address,
        server.uri("record"),
        tone(440, 2.0),
        folder=tmp_path,
        wait_seconds=1.0,
        headers=["P-Asserted-Identity: <sip:+15550007777@pbx>"],
    )
    assert (report.successful, report.failed) == (1, 0), report.output
    told = server.told()
    assert told["caller_number"] == "+15550007777"
    recorded = server.recorded(told)
    assert tonal_seconds(recorded, 440) == pytest.approx(2.0, abs=0.1)
    assert seconds_of(recorded) == pytest.approx(3.0, abs=0.25)


def test_no_media_ends_the_call(tmp_path):
    """After `no_media_seconds` without RTP we hang up; what was heard is kept."""
    server = Server(tmp_path, no_media_seconds=1.0, rtp_ports=[25_000, 25_098])
    try:
        steps = [WaitForBeep(5), Say(tone(440, 0.5)), WaitForHangUp(10, silent=True)]
        report = server.call("record", steps)
        told = server.told()
        assert report.hung_up_by_server
        assert told["reason"] == "no-media"
        assert tonal_seconds(server.recorded(told), 440) == pytest.approx(0.5, abs=0.06)
    finally:
        server.close()


def test_the_longest_call_is_ended(tmp_path):
    server = Server(tmp_path, max_call_seconds=1.0, rtp_ports=[25_100, 25_198])
    try:
        report = server.call("record", [WaitForHangUp(10)])
        assert report.seconds == pytest.approx(1.0, abs=0.3)
        assert server.told()["reason"] == "too-long"
    finally:
        server.close()


def test_strangers_get_no_answer(tmp_path):
    """A datagram from outside trusted_cores is not even refused."""
    server = Server(tmp_path, trusted_cores=["192.0.2.0/24"], rtp_ports=[25_200, 25_298])
    try:
        with pytest.raises(TimeoutError):
            server.call("record", [], answer_timeout_seconds=1.5)
    finally:
        server.close()


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_ipv6(tmp_path, transport):
    listen = [f"{transport.lower()}:[::1]:0"]
    server = Server(tmp_path, listen=listen, trusted_cores=["::1/128"])
    try:
        report = server.call(
            "echo",
            [Say(tone(800, 0.5)), Silence(0.3), HangUp()],
            telephone=Telephone("::1", transport=transport),
        )
        assert tonal_seconds(report.heard, 800) == pytest.approx(0.5, abs=0.06)
    finally:
        server.close()


def test_rubbish_on_a_stream_hurts_no_call(tmp_path):
    """Connections full of rubbish, half a message or nothing at all; a call meanwhile is whole."""
    server = Server(tmp_path, listen=["tcp:127.0.0.1:0"])
    head = b"INVITE sip:x SIP/2.0\r\nContent-Length: 9\r\n"
    rubbish = [b"\x16\x03\x01" * 30_000, b"GET / HTTP/1.1\r\n\r\n", head, head + b"\r\n", b""]
    connections = [socket.create_connection(server.address) for _ in rubbish]
    try:
        for connection, octets in zip(connections, rubbish, strict=True):
            with suppress(ConnectionError):  # it may be cut before it has said all
                connection.sendall(octets)
        report = server.call(
            "echo",
            [Say(tone(800, 0.5)), Silence(0.3), HangUp()],
            telephone=Telephone(transport="TCP"),
        )
        assert report.bye_status == 200
        assert tonal_seconds(report.heard, 800) == pytest.approx(0.5, abs=0.06)
    finally:
        for connection in connections:
            connection.close()
        server.close()


def test_rubbish_does_not_stop_the_server(server):
    """Random and damaged datagrams on the SIP port, then a call as if nothing had been."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as rubbish:
        for number in range(500):
            words = array("I", ((number * 2_654_435_761 + n * 40_503) % 2**32 for n in range(50)))
            rubbish.sendto(words.tobytes()[: number % 200], server.address)
        rubbish.sendto(b"INVITE sip:x SIP/2.0\r\n" * 2000, server.address)
    assert server.call("echo", [Silence(0.1), HangUp()]).bye_status == 200
    server.told()


def loopback_of_its_own():
    """Some address of 127.0.0.0/8: on it every port is free, 5060 too."""
    octets = secrets.token_bytes(3)
    return f"127.{octets[0] | 1}.{octets[1]}.{octets[2] | 1}"


def heard_from(server, data, place):
    """Statuses of what comes back for one datagram from `place`, until a later OPTIONS is answered.

    An INVITE that came from there before may have its answer repeated meanwhile (Timer G): that is
    not counted, unless the datagram speaks of INVITE itself.
    """
    probe = f"probe-{secrets.token_hex(4)}"
    options = (
        f"OPTIONS sip:um@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK{probe};rport\r\n"
        f"From: <sip:probe@um.test>;tag=1\r\nTo: <sip:um@127.0.0.1>\r\nCall-ID: {probe}\r\n"
        "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    ).encode()
    statuses = []
    with socket.socket(type=socket.SOCK_DGRAM) as line:
        line.bind(place)
        line.settimeout(10)
        line.sendto(data, server.address)
        line.sendto(options, server.address)
        while True:
            answer = line.recv(65_535)
            if probe.encode() in answer:
                return statuses
            if b"INVITE" in data or not re.search(rb"(?im)^CSeq:.*INVITE", answer):
                statuses.append(answer.split(b" ")[1].decode())


HOSTS = {}
"""By branch: some messages are twins, and what has one branch is one transaction of one sender."""


@pytest.mark.parametrize(("name", "status"), EXPECTED.items())
def test_a_torture_message_on_the_wire(server, name, status):
    """RFC 4475: each of the 50, as it stands, from the port that its Via names."""
    data = read(name)
    via = re.search(
        rb"(?im)^(?:via|v)\s*:\s*SIP\s*/\s*2.0\s*/\s*\S+\s+[^;:\s]+\s*(?::\s*(\d+))?", data
    )
    port = int(via[1]) if via and via[1] else 5060
    branch = re.search(rb"branch=([^;\s,]+)", data)
    host = HOSTS.setdefault(branch[1] if branch else name, loopback_of_its_own())
    statuses = heard_from(server, data, (host, port))
    assert statuses[:1] == ([status] if status else [])
