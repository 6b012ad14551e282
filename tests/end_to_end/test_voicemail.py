"""A voicemail from INVITE to EXISTS: the whole server, a scripted telephone, and sipp."""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.inbox import PASSWORD, send_lmtp
from tests.support.mail_program import Mail, MailProgram
from tests.support.server import Server
from tests.support.sipp_call import sipp_call
from tests.support.speech import correlates, decode_mp3, duration, say
from tests.support.telephone import (
    CallReport,
    HangUp,
    Press,
    Say,
    Silence,
    Telephone,
    WaitForBeep,
    WaitForHangUp,
)

pytestmark = pytest.mark.slow
NUMBER = "+15551230001"
SPOKEN_SECONDS = 5.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("voicemail")) as running:
        running.add_account("anna", password=PASSWORD, numbers=[f"{NUMBER}:voice"])
        yield running


def words() -> bytes:
    return say(seconds=SPOKEN_SECONDS)


def receive(server: Server, place: Callable[[], object]) -> Mail:
    """Idle, place the call, and read what IDLE told of."""

    async def go() -> Mail:
        imaps = server.address("imaps")
        async with MailProgram(imaps.host, imaps.port, "anna", PASSWORD) as program:
            before = program.exists
            await program.idle()
            arrived = asyncio.create_task(program.wait_for_more(before))
            await asyncio.to_thread(place)
            await arrived
            return (await program.read_all())[-1]

    return asyncio.run(go())


def call(server: Server, *steps: object, **more: object) -> CallReport:
    sip = server.address("sip")
    uri = f"sip:{more.pop('dialled', NUMBER)}@{sip.host}:{sip.port}"
    return Telephone().call((sip.host, sip.port), uri, steps, **more)


def streaming_server(folder: Path) -> Server:
    listen = [f"{transport}:127.0.0.1:0" for transport in ("udp", "tcp", "tls")]
    return Server(folder, overrides={"telephony": {"listen": listen}})


def check_recording(mail: Mail, *, number: str, seconds: float = SPOKEN_SECONDS) -> None:
    """The right headers, length (within 0.25 s) and words."""
    message = mail.message
    assert message["Message-Context"] == "voice-message"
    assert message["X-UM-Kind"] == "voice"
    assert message["X-CallingTelephoneNumber"] == number
    assert f"{number}@um.example.net" in message["From"]
    assert f"{NUMBER}@um.example.net" in message["To"]
    heard = decode_mp3(mail.attachment("audio/mpeg"))
    assert abs(duration(heard) - seconds) <= 0.25
    assert abs(int(message["Content-Duration"]) - seconds) <= 0.75
    assert correlates(words(), heard) > 0.9


def test_a_scripted_telephone_leaves_a_message(server: Server) -> None:
    """The caller hears greeting and beep, speaks, hangs up; an idle mail program is told."""
    report: list[CallReport] = []

    def place() -> None:
        steps = [WaitForBeep(40), Say(words()), HangUp()]
        report.append(call(server, *steps, caller="+15559870001", caller_name="Alice Example"))

    mail = receive(server, place)
    assert report[0].status == 200
    assert report[0].beeped
    check_recording(mail, number="+15559870001")
    assert "Alice Example" in mail.message["Subject"]
    assert mail.message["X-VoiceMessageSenderName"] == "Alice Example"


def test_sipp_leaves_a_message(server: Server, tmp_path: Path) -> None:
    """The same from a telephone that others wrote; it is deaf, so the greeting is timed first."""
    sip = server.address("sip")
    greeting = call(server, WaitForBeep(40), HangUp())

    def place() -> None:
        done = sipp_call(
            (sip.host, sip.port),
            f"sip:{NUMBER}@{sip.host}:{sip.port}",
            words(),
            folder=tmp_path,
            wait_seconds=greeting.seconds + 0.1,
            caller="+15559870002",
        )
        assert done.successful == 1, done.output

    check_recording(receive(server, place), number="+15559870002")


@pytest.mark.parametrize("transport", ["TCP", "TLS"])
def test_a_message_is_left_over_a_stream(tmp_path: Path, transport: str) -> None:
    """The same over TCP and over TLS; the server's own BYE comes on the caller's connection."""
    with streaming_server(tmp_path) as server:
        server.add_account("anna", password=PASSWORD, numbers=[f"{NUMBER}:voice"])
        sip = server.address(f"sip-{transport.lower()}")
        telephone = Telephone(transport=transport, trusted=server.certificate)
        report: list[CallReport] = []

        def place() -> None:
            steps = [Silence(1), Press("#"), WaitForBeep(10), Say(words()), Press("##")]
            uri = f"sip:{NUMBER}@{sip.host}:{sip.port};transport={transport.lower()}"
            caller = "+15559870005"
            report.append(
                telephone.call(
                    (sip.host, sip.port), uri, [*steps, WaitForHangUp(20)], caller=caller
                )
            )

        check_recording(receive(server, place), number="+15559870005")
        assert report[0].hung_up_by_server
        assert report[0].answer is not None
        assert f";transport={transport.lower()}" in report[0].answer.contact_uri


def test_sipp_leaves_a_message_over_tcp(tmp_path: Path) -> None:
    """Others' TCP, in a telephone that was told how long the greeting is."""
    with streaming_server(tmp_path) as server:
        server.add_account("anna", password=PASSWORD, numbers=[f"{NUMBER}:voice"])
        greeting = call(server, WaitForBeep(40), HangUp())
        sip = server.address("sip-tcp")

        def place() -> None:
            done = sipp_call(
                (sip.host, sip.port),
                f"sip:{NUMBER}@{sip.host}:{sip.port}",
                words(),
                folder=tmp_path,
                wait_seconds=greeting.seconds + 0.1,
                caller="+15559870006",
                transport="t1",
            )
            assert done.successful == 1, done.output

        check_recording(receive(server, place), number="+15559870006")


@pytest.mark.parametrize("transport", ["UDP", "TLS"])
def test_a_core_that_no_address_vouches_for_proves_itself(tmp_path: Path, transport: str) -> None:
    """With the password of its file it leaves a message; with another it is refused."""
    (tmp_path / "pbx1.secret").write_text("correct horse\n")
    core = {"name": "pbx1", "username": "um", "password_file": "pbx1.secret"}
    listen = [f"{transport.lower()}:127.0.0.1:0"]
    telephony = {"listen": listen, "trusted_cores": ["192.0.2.0/24"]}
    with Server(tmp_path, overrides={"telephony": telephony}, cores=[core]) as server:
        server.add_account("anna", password=PASSWORD, numbers=[f"{NUMBER}:voice"])
        sip = server.address("sip" if transport == "UDP" else "sip-tls")
        report: list[CallReport] = []

        def place(*steps: object, password: str = "correct horse") -> None:
            telephone = Telephone(
                transport=transport, trusted=server.certificate, credentials=("um", password)
            )
            uri = f"sip:{NUMBER}@{sip.host}:{sip.port}"
            report.append(telephone.call((sip.host, sip.port), uri, steps, caller="+15559870007"))

        place(HangUp(), password="battery staple")
        assert report.pop().status == 401
        speaking = [Silence(1), Press("#"), WaitForBeep(10), Say(words()), HangUp()]
        check_recording(receive(server, lambda: place(*speaking)), number="+15559870007")
        assert (report[0].status, report[0].bye_status) == (200, 200)
        assert "horse" not in server.log_text()


def test_hash_skips_the_greeting_and_ends_the_recording(server: Server) -> None:
    """`#` skips, ends and accepts: "message saved" is said and the server hangs up."""
    report: list[CallReport] = []

    def place() -> None:
        steps = [
            Silence(1),
            Press("#"),
            WaitForBeep(10),
            Say(words()),
            Press("##"),
            WaitForHangUp(20),
        ]
        report.append(call(server, *steps, caller="+15559870003"))

    check_recording(receive(server, place), number="+15559870003")
    assert report[0].hung_up_by_server


def test_eight_seconds_of_silence_end_the_recording(server: Server) -> None:
    """Who stops speaking and forgets to hang up leaves a message without the silence."""
    report: list[CallReport] = []

    def place() -> None:
        steps = [Silence(1), Press("#"), WaitForBeep(10), Say(words()), WaitForHangUp(30)]
        report.append(call(server, *steps, caller="+15559870004"))

    check_recording(receive(server, place), number="+15559870004")
    assert report[0].hung_up_by_server


def test_less_than_a_second_is_a_missed_call(server: Server) -> None:
    """A caller who says nothing leaves no message."""
    before = server.um_json("account", "show", "anna")["counts"]
    report = call(server, Silence(1), Press("#"), WaitForBeep(10), Silence(0.5), HangUp())
    assert report.status == 200
    assert server.um_json("account", "show", "anna")["counts"] == before


def test_a_full_mailbox_is_said_before_the_beep(tmp_path: Path) -> None:
    """Nobody speaks into a mailbox that has no room: no beep, no message; its owner is told."""
    with Server(tmp_path, overrides={"policy": {"quota_octets": 1_048_576}}) as server:
        server.add_account("anna", password=PASSWORD, numbers=[f"{NUMBER}:voice"])
        large = b"Subject: large\r\n\r\n" + (b"x" * 76 + b"\r\n") * 9_000
        assert send_lmtp(server, ["anna@um.example.net"], large) == {}
        before = server.um_json("account", "show", "anna")["counts"]
        report = call(server, WaitForHangUp(40))
        assert report.status == 200
        assert not report.beeped
        assert report.heard_packets > 50
        after = server.um_json("account", "show", "anna")["counts"]
        assert after == before | {"notice": 1}


@pytest.mark.parametrize(
    "command",
    [("suspend", "anna", "--reason", "unpaid"), ("close", "anna"), ("voicemail", "anna", "off")],
)
def test_an_account_that_takes_no_messages_says_so(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    """While `um serve` runs, the command line ends the service: the next caller is told, no more."""
    with Server(tmp_path) as server:
        server.add_account("anna", password=PASSWORD, numbers=[f"{NUMBER}:voice"])
        server.um("account", *command)
        report = call(server, WaitForHangUp(40))
        assert report.status == 200
        assert report.heard_packets > 50
        assert not report.beeped
        assert report.hung_up_by_server
        assert server.um_json("account", "show", "anna")["counts"] == {}


def test_the_server_drains_its_calls_at_sigterm(tmp_path: Path) -> None:
    """A call in progress when the operator stops the server is still a message afterwards."""
    server = Server(tmp_path)
    server.start()
    server.add_account("anna", password=PASSWORD, numbers=[f"{NUMBER}:voice"])

    async def go() -> CallReport:
        steps = [Silence(1), Press("#"), WaitForBeep(10), Say(words()), HangUp()]
        calling = asyncio.create_task(asyncio.to_thread(call, server, *steps))
        while "voicemail.recording" not in server.log_text():
            await asyncio.sleep(0)
            os.sched_yield()
        await asyncio.to_thread(server.stop)
        return await calling

    asyncio.run(go())
    server.restart()
    try:
        assert server.um_json("account", "show", "anna")["counts"] == {"voice": 1}
    finally:
        server.stop()
