"""Message waiting, end to end: a change anywhere is seen by a core and by a telephone within 1 s."""

import time
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.inbox import PASSWORD, connect, send_lmtp
from tests.support.ports import free_port
from tests.support.server import Server
from tests.support.sip_agent import Agent
from tests.support.telephone import HangUp, Machine, Press, Silence, Telephone

pytestmark = pytest.mark.slow
NUMBER = "+15551230001"
PIN = "280519"
WITHIN_SECONDS = 1.0


@pytest.fixture
def core() -> Iterator[Agent]:
    with Agent() as agent:
        yield agent


def make(folder: Path, *targets: str, port: int = 0) -> Server:
    telephony = {"listen": [f"udp:127.0.0.1:{port}"], "mwi_targets": list(targets)}
    return Server(folder, overrides={"telephony": telephony})


def leave_voicemail(server: Server, tmp_path: Path, *, times: int = 1) -> float:
    """By the command line; returns when the last one was done."""
    file = tmp_path / "voice.wav"
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes((b"\x00\x20" * 40 + b"\x00\xe0" * 40) * 200)
    for _ in range(times):
        server.um("deliver", "voice", "anna", str(file), "--from", "+15559870001")
    return time.monotonic()


def add_anna(server: Server) -> None:
    server.add_account("anna", password=PASSWORD, numbers=[f"{NUMBER}:voice", "+15551230002:fax"])


def test_a_change_lights_and_quenches_the_lamp(tmp_path: Path, core: Agent) -> None:
    """Delivered by command line, read and deleted by IMAP; each is told once, within 1 s."""
    with make(tmp_path / "um", core.uri) as server:
        add_anna(server)
        first = core.wait_until("0/0 (0/0)")
        assert not first.waiting
        assert first.message.start == f"NOTIFY sip:{NUMBER}@127.0.0.1:{core.port} SIP/2.0"
        assert first.message.get("event") == "message-summary"
        assert first.message.get("content-type") == "application/simple-message-summary"
        assert first.state == "active"
        assert first.number == NUMBER
        done = leave_voicemail(server, tmp_path)
        lit = core.wait_until("1/0 (0/0)")
        assert lit.waiting
        assert lit.at - done < WITHIN_SECONDS
        mail = connect(server, "anna")
        mail.select("INBOX")
        mail.store("1", "+FLAGS", r"(\Seen \Flagged)")
        done = time.monotonic()
        read = core.wait_until("0/1 (0/1)")
        assert not read.waiting
        assert read.at - done < WITHIN_SECONDS
        mail.store("1", "+FLAGS", r"(\Deleted)")
        mail.expunge()
        done = time.monotonic()
        assert core.wait_until("0/0 (0/0)").at - done < WITHIN_SECONDS
        mail.logout()
        # Mail has no lamp: nothing is sent for it.
        count = len(core.notices)
        send_lmtp(server, ["anna@um.example.net"], b"From: a@b.example\r\n\r\nhello\r\n")
        leave_voicemail(server, tmp_path)
        core.wait_until("1/0 (0/0)")
        assert len(core.notices) == count + 1


def test_the_phone_the_mailbox_and_the_lamp_agree(tmp_path: Path, core: Agent) -> None:
    """Heard, then deleted on `*98`: each is so in IMAP and in the lamp within 1 s of the key, in mid-call."""
    with make(tmp_path / "um", core.uri) as server:
        add_anna(server)
        server.um("account", "pin", "anna", "--pin-stdin", stdin=f"{PIN}\n")
        leave_voicemail(server, tmp_path)
        core.wait_until("1/0 (0/0)")
        mail = connect(server, "anna")
        mail.select("INBOX")

        def is_so(lamp: str, flags: list[object]) -> Machine:
            def agrees() -> bool:
                if core.notices[-1].voice != lamp:
                    return False
                mail.noop()
                return mail.uid("search", "SEEN")[1] == flags

            return Machine(lambda _: b"", agrees, timeout_seconds=WITHIN_SECONDS)

        sip = server.address("sip")
        log_in = [Silence(0.5), Press(f"{PIN}#"), Silence(0.5)]
        heard = [Press("1"), Silence(0.3), Press("1"), is_so("0/1 (0/0)", [b"1"])]
        deleted = [Press("7"), is_so("0/0 (0/0)", [b""])]
        report = Telephone().call(
            (sip.host, sip.port),
            f"sip:*98@{sip.host}:{sip.port}",
            [*log_in, *heard, *deleted, HangUp()],
            caller=NUMBER,
            headers=[("P-Asserted-Identity", f"<sip:{NUMBER}@core.example.net>")],
        )
        assert report.bye_status == 200
        assert int(mail.select("Trash")[1][0]) == 1
        mail.logout()


def test_a_burst_is_told_in_few_words(tmp_path: Path, core: Agent) -> None:
    """Twenty flag changes as fast as IMAP goes: few NOTIFYs, the last one right, within 1 s."""
    with make(tmp_path / "um", core.uri) as server:
        add_anna(server)
        leave_voicemail(server, tmp_path)
        core.wait_until("1/0 (0/0)")
        mail = connect(server, "anna")
        mail.select("INBOX")
        count = len(core.notices)
        for index in range(21):
            mail.store("1", "-FLAGS" if index % 2 else "+FLAGS", r"(\Seen)")
        done = time.monotonic()
        assert core.wait_until("0/1 (0/0)").at - done < WITHIN_SECONDS
        assert len(core.notices) - count <= 4
        mail.logout()


def test_lamps_are_right_after_either_side_restarts(tmp_path: Path) -> None:
    """The server tells everything at its start; a core that comes back is told everything again."""
    with make(tmp_path / "um") as server:  # no target yet: only the account is made
        add_anna(server)
        leave_voicemail(server, tmp_path)
    with Agent() as core, make(tmp_path / "um", core.uri) as server:
        core.wait_until("1/0 (0/0)")
        core.deaf = True
        mail = connect(server, "anna")
        mail.select("INBOX")
        mail.store("1", "+FLAGS", r"(\Seen)")
        mail.logout()
        core.wait_missed(2)
        core.deaf = False
        core.wait_until("0/1 (0/0)")
        # It restarts while nothing changes: it has forgotten what it was told.
        count = len(core.notices)
        core.deaf = True
        core.missed = 0
        core.wait_missed(3)
        core.deaf = False
        # A round soon after another one waits until 30 s have passed.
        assert core.wait_for(count + 1, seconds=40)[-1].voice == "0/1 (0/0)"


def test_a_telephone_subscribes(tmp_path: Path) -> None:
    """SUBSCRIBE, NOTIFY at once and on each change, refresh, and the end by Expires 0."""
    with Agent() as phone, make(tmp_path / "um") as server:
        add_anna(server)
        sip = server.address("sip")
        where = (sip.host, sip.port)
        assert phone.subscribe(where, "5551230009").status == 404
        assert phone.subscribe(where, "+15551230002").status == 404  # a fax number has no lamp
        assert phone.subscribe(where, NUMBER, event="presence").status == 489
        brief = phone.subscribe(where, NUMBER, expires=5)
        assert (brief.status, brief.get("min-expires")) == (423, "60")
        accepted = phone.subscribe(where, "5551230001", expires=600)
        assert (accepted.status, accepted.get("expires")) == (200, "600")
        (first,) = phone.wait_for(1)
        assert first.voice == "0/0 (0/0)"
        assert first.state.startswith("active;expires=")
        assert first.message.get("call-id") == accepted.get("call-id")
        done = leave_voicemail(server, tmp_path)
        assert phone.wait_until("1/0 (0/0)").at - done < WITHIN_SECONDS
        count = len(phone.notices)
        again = phone.subscribe(where, NUMBER, within=accepted, cseq=2)
        assert again.status == 200
        phone.wait_for(count + 1)
        ended = phone.subscribe(where, NUMBER, expires=0, within=accepted, cseq=3)
        assert (ended.status, ended.get("expires")) == (200, "0")
        assert phone.wait_for(count + 2)[-1].state == "terminated;reason=timeout"
        assert phone.subscribe(where, NUMBER, within=accepted, cseq=4).status == 481


def test_a_subscription_outlives_a_power_cut(tmp_path: Path) -> None:
    """After kill -9 the telephone is told what is so, in its dialog, without asking."""
    port = free_port()
    with Agent() as phone, make(tmp_path / "um", port=port) as server:
        add_anna(server)
        accepted = phone.subscribe(("127.0.0.1", port), NUMBER)
        first = phone.wait_for(1)[0]
        leave_voicemail(server, tmp_path)
        phone.wait_until("1/0 (0/0)")
        server.kill9()
        leave_voicemail(server, tmp_path)
        server.restart()
        told = phone.wait_until("2/0 (0/0)")
        assert told.message.get("call-id") == accepted.get("call-id")
        number = int(told.message.get("cseq").split()[0])
        assert number > int(first.message.get("cseq").split()[0])
        assert phone.subscribe(("127.0.0.1", port), NUMBER, within=accepted, cseq=2).status == 200
