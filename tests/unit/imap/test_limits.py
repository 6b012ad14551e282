"""Every limit and refusal of the IMAP server, at its edge and one beyond (docs/protocols/imap.md)."""

import asyncio
import re
import threading

import pytest

from imap_server.candidate import Candidate
from imap_server.connection import CommandReceived, Connection, Ended
from imap_server.search import Question
from imap_server.settings import ImapSettings
from imap_server.state import State
from imap_server.wire.fetch import MAX_FIELDS, MAX_ITEMS
from imap_server.wire.flags import MAX_FLAGS
from imap_server.wire.limits import Limits
from imap_server.wire.listing import MAX_PATTERNS
from imap_server.wire.parser import parse_command
from imap_server.wire.search import MAX_KEYS
from imap_server.wire.tokens import MAX_RANGES, BadCommandError
from tests.support.house import PASSWORD
from tests.support.imap_transcript import Stage, message, play
from tests.unit.imap.test_search import NOW, candidate
from um.core.errors import InvalidError
from um.mime.text import Searchable
from um.service.delivery import MAX_HEADER_OCTETS
from um.service.keywords import MAX_KEYWORDS_TOLD
from um.service.mailbox_folders import MAX_FOLDERS, MAX_SUBSCRIPTIONS

STATES = {False: State.NOT_AUTHENTICATED, True: State.SELECTED}
LIMITS = Limits()


def engine(*, logged_in: bool) -> Connection:
    connection = Connection(LIMITS)
    connection.state = STATES[logged_in]
    return connection


def outcome(connection: Connection, data: bytes) -> tuple[object, bytes]:
    connection.receive_data(data)
    return connection.next_event(), connection.data_to_send()


# -- lines and literals ---------------------------------------------------------------------------


@pytest.mark.parametrize(("logged_in", "octets"), [(False, 8_192), (True, 65_536)])
def test_a_line(logged_in, octets):
    """8 kB before login, 64 kB after it; longer ones end the connection, ended or not."""
    id_command = b'a ID ("name" "' + b"x" * (octets - 17) + b'")\r'
    assert len(id_command) == octets
    event, _ = outcome(engine(logged_in=logged_in), id_command + b"\n")
    assert isinstance(event, CommandReceived)
    for end in (b"\n", b""):
        event, said = outcome(engine(logged_in=logged_in), b"x" + id_command + end)
        assert event == Ended()
        assert said == b"* BYE Command line too long\r\n"


@pytest.mark.parametrize(("logged_in", "octets"), [(False, 256), (True, 65_536)])
def test_the_literals_of_a_command(logged_in, octets):
    """256 octets before login, 64 kB after it, all of a command together."""
    first = octets // 2
    begun = b"a LOGIN {%d}\r\n" if not logged_in else b"a SEARCH SUBJECT {%d}\r\n"
    between = b" {%d}\r\n" if not logged_in else b" SUBJECT {%d}\r\n"
    for second, said in ((octets - first, b"+ OK\r\n"), (octets - first + 1, b"too large")):
        connection = engine(logged_in=logged_in)
        assert outcome(connection, begun % first) == (None, b"+ OK\r\n")
        _, answer = outcome(connection, b"x" * first + between % second)
        assert said in answer


@pytest.mark.parametrize("logged_in", [False, True])
def test_literals_of_nothing_are_no_way_around_the_limit(logged_in):
    """Each costs what its braces cost, so that a command stays as short as its limit says."""
    connection = engine(logged_in=logged_in)
    pieces = 0
    event, said = outcome(connection, b"a LOGIN " if not logged_in else b"a SEARCH SUBJECT ")
    while event is None:
        event, said = outcome(connection, b"{0+}\r\n" * 50)
        pieces += 50
        assert pieces * 6 <= LIMITS.line(logged_in=logged_in) + 300
        assert len(connection._parts) <= LIMITS.line(logged_in=logged_in) // 2
    assert event == Ended()
    assert said.endswith(b"BYE Command line too long\r\n")


def test_octets_one_by_one_take_no_more_memory_than_at_once():
    """A message that comes in packets of one octet is held as octets, not as packets."""
    connection = engine(logged_in=True)
    outcome(connection, b"a APPEND INBOX {100000}\r\n")
    connection.accept_message()
    for _ in range(1000):
        outcome(connection, b"x")
    literal = connection._literal
    assert literal is not None
    assert literal.data == b"x" * 1000


@pytest.mark.parametrize("octets", [4_096, 4_097])
def test_a_stranger_sends_little_without_asking(octets):
    """LITERAL+ before login: up to 4 kB are drained, more end the connection (RFC 7888 §7)."""
    event, said = outcome(engine(logged_in=False), b"a LOGIN {%d+}\r\n" % octets)
    assert said.startswith(b"a BAD Literal too large\r\n* BYE") is (octets > 4_096)
    assert (event == Ended()) is (octets > 4_096)


# -- counts ---------------------------------------------------------------------------------------


def sparse(count: int) -> str:
    return ",".join(str(2 * number + 1) for number in range(count))


COUNTS = [
    ("FETCH {} FLAGS", sparse, MAX_RANGES),
    ("SEARCH {}", lambda count: " ".join(["SEEN"] * count), MAX_KEYS),
    ("STORE 1 FLAGS ({})", lambda count: " ".join(f"k{n}" for n in range(count)), MAX_FLAGS),
    (
        "FETCH 1 BODY[HEADER.FIELDS ({})]",
        lambda count: " ".join(f"X-{n}" for n in range(count)),
        MAX_FIELDS,
    ),
    ("FETCH 1 ({})", lambda items: " ".join(["FLAGS"] * items), MAX_ITEMS),
    ('LIST "" ({})', lambda patterns: " ".join(["%"] * patterns), MAX_PATTERNS),
    ("SEARCH {}ALL", lambda depth: "NOT " * depth, 20),
    ("FETCH 1 BODY[{}]", lambda depth: ".".join(["1"] * depth), 100),
    ("ID ({})", lambda pairs: " ".join(['"a" "b"'] * pairs), 30),
]


@pytest.mark.parametrize(("command", "fill", "most"), COUNTS, ids=lambda each: str(each)[:20])
def test_so_many_and_no_more(command, fill, most):
    """Ranges, keys, flags, fields, levels: the largest number is taken, one more is BAD."""
    parse_command([b"a " + command.format(fill(most)).encode()])
    with pytest.raises(BadCommandError):
        parse_command([b"a " + command.format(fill(most + 1)).encode()])


def test_the_longest_set_picks_what_it_names():
    """Ranges are never expanded, so that the longest set is a list as long as its line."""
    *_, command = parse_command([f"a FETCH {sparse(MAX_RANGES)} FLAGS".encode()])
    assert command.messages.select(range(1, 5001)) == list(range(1, 5001, 2))
    assert len(command.messages.resolve(5000)) == MAX_RANGES


# -- search ---------------------------------------------------------------------------------------


def test_a_search_decodes_and_folds_a_message_once():
    """A thousand keys look at the same folded text; nothing is folded for each of them."""
    keys = " ".join(f"NOT BODY x{n} NOT TEXT y{n} NOT HEADER Subject z{n}" for n in range(150))
    *_, command = parse_command([f"a SEARCH {keys}".encode()])
    read = candidate(header=b"Subject: HELLO\r\n\r\n", text="")
    read.text = Searchable("LETTERS " * 1000, "FIELDS")
    question = Question(command.key, messages=5, largest_uid=9, now=NOW)
    assert question.weight == 450
    assert question.matches(read) is True
    for made in (Candidate.body, Candidate.parts, Candidate.whole_header):
        assert made(read) is made(read)
    assert read.field_values("Subject") is read.field_values("Subject")


@pytest.mark.parametrize("command", ["SEARCH BODY nothing", "SORT (DATE) UTF-8 BODY nothing"])
def test_a_search_that_takes_too_long_is_given_up(command):
    """NO [LIMIT] after 30 s, and the session goes on."""

    async def story() -> None:
        stage = Stage()
        await stage.house.add("alice", None)
        for number in range(5):
            await stage.deposit("voice", "alice", data=message(f"m{number}", number=number))
        read = stage.mailboxes.text

        async def slow_text(content):
            stage.house.clock.advance(10)
            return await read(content)

        stage.mailboxes.text = slow_text
        client = await stage.connect("A")
        client.send(f'a LOGIN alice "{PASSWORD}"\r\nb SELECT INBOX\r\n'.encode())
        await stage.settle()
        client.take_all()
        client.send(f"c {command}\r\nd NOOP\r\n".encode())
        await stage.settle()
        assert client.take_all() == (
            b"c NO [LIMIT] The search takes too long; ask for less at once\r\n"
            b"d OK NOOP completed\r\n"
        )
        await stage.close()

    asyncio.run(story())


def test_long_searches_leave_threads_to_others():
    """Two at a time, whoever asks: what calls and mail need threads for need not wait for them."""

    async def story() -> None:
        stage = Stage()
        contexts = [(await stage.connect(name)).session.context for name in "ABCDE"]
        gate, running, peak = threading.Event(), set(), []

        def search(number: int) -> int:
            running.add(number)
            peak.append(len(running))
            gate.wait(60)
            running.discard(number)
            return number

        tasks = [asyncio.create_task(each.beside(search, n)) for n, each in enumerate(contexts)]
        while len(running) < 2:
            await asyncio.sleep(0)
        assert await asyncio.to_thread(lambda: "a call") == "a call"
        gate.set()
        assert await asyncio.gather(*tasks) == list(range(5))
        assert max(peak) == 2
        await stage.close()

    asyncio.run(story())


# -- time and tries -------------------------------------------------------------------------------


def test_a_stranger_who_keeps_sending_gains_no_time():
    """The minute to log in is counted from the connection, whatever trickles in."""

    async def story() -> None:
        stage = Stage()
        client = await stage.connect("A")
        for _ in range(59):
            client.send(b"a")
            await stage.settle()
            await stage.advance(1)
            assert not client.link.closed
        await stage.advance(2)
        assert client.link.closed
        assert client.take_all().endswith(b"* BYE Autologout; you were away for too long\r\n")
        await stage.close()

    asyncio.run(story())


def test_a_lock_out_lasts_beyond_connections():
    """After 20 wrong passwords from one address even the right one is refused there, for a day."""

    async def story() -> None:
        stage = Stage()
        await stage.house.add("alice", None)

        async def login(password: str, *, peer: str = "192.0.2.1") -> bytes:
            client = await stage.connect("A", peer=peer)
            client.send(f'a LOGIN alice "{password}"\r\n'.encode())
            await stage.settle()
            await stage.advance(1)
            answer = client.take_all()
            client.link.lose()
            await stage.settle()
            return answer

        failed = refused = 0
        while failed < 20:
            answer = await login("wrong")
            if b"[AUTHENTICATIONFAILED]" in answer:
                failed += 1
            else:
                assert b"a NO [LIMIT] " in answer
                refused += 1
                await stage.advance(60)
        assert refused > 10
        await stage.advance(3600)
        assert b"a NO [LIMIT] " in await login(PASSWORD)
        assert b"a OK " in await login(PASSWORD, peer="192.0.2.7")
        await stage.advance(24 * 3600)
        assert b"a OK " in await login(PASSWORD)
        await stage.close()

    asyncio.run(story())


def test_so_many_folders():
    """A thousand folders, and one more is refused."""

    async def story() -> None:
        stage = Stage()
        account = await stage.house.add("alice", None)
        there = len(await stage.mailboxes.folders(account.id))
        for number in range(MAX_FOLDERS - there):
            await stage.mailboxes.create(account.id, f"f{number}")
        with pytest.raises(InvalidError, match="too many mailboxes"):
            await stage.mailboxes.create(account.id, "one more")

    asyncio.run(story())


# -- messages -------------------------------------------------------------------------------------


def test_a_header_that_no_mail_has():
    """256 kB of header are taken, more is NO [TOOBIG]: it would lie in every list and search."""

    async def story() -> None:
        stage = Stage()
        await stage.house.add("alice", None)
        client = await stage.connect("A")
        client.send(f'a LOGIN alice "{PASSWORD}"\r\n'.encode())
        field = b"X-Flood: " + b"y" * 89 + b"\r\n"
        for more, said in ((0, b" OK [APPENDUID "), (1, b" NO [TOOBIG] The header ")):
            header = field * (MAX_HEADER_OCTETS // len(field))
            header += b"Z: " + b"z" * (MAX_HEADER_OCTETS - len(header) - 7 + more) + b"\r\n\r\n"
            assert len(header) == MAX_HEADER_OCTETS + more
            client.send(b"b APPEND INBOX {%d+}\r\n%b\r\n" % (len(header) + 1, header + b"x"))
            await stage.settle()
            assert said in client.take_all()
        await stage.close()

    asyncio.run(story())


def test_a_nul_is_no_character():
    """Neither in a quoted string nor in a literal (the class of CVE-2019-11500)."""
    play(
        r"""
        A>> a1 LOGIN "al\x00ice" x\r\n
        A< a1 BAD Invalid quoted string
        A> a2 LOGIN {3}
        A< + OK
        A>> a\x00b x\r\n
        A< a2 BAD NUL is not allowed
        """
    )


def test_connections_are_counted_as_configured():
    """The settings are what the configuration says, and the sizes are the published ones."""
    settings = ImapSettings()
    assert settings.max_connections_per_account == 20
    assert settings.max_connections_per_address == 50
    assert settings.login_timeout_seconds == 60


# -- what counts towards no quota -----------------------------------------------------------------


def test_the_keywords_of_a_message_and_of_a_folder():
    """A message has up to 100, more is NO [LIMIT] and changes nothing; of a folder 1000 are told."""

    async def story() -> None:
        stage = Stage()
        await stage.house.add("alice", None)
        for number in range(12):
            await stage.deposit("mail", "alice", data=message(f"m{number}", number=number))
        client = await stage.connect("A")
        client.send(f'a LOGIN alice "{PASSWORD}"\r\nb SELECT INBOX\r\n'.encode())
        await stage.settle()

        async def add(number: int, first: int, count: int) -> bytes:
            client.take_all()
            words = " ".join(f"k{number}x{n}" for n in range(first, first + count))
            client.send(f"c STORE {number} +FLAGS.SILENT ({words})\r\n".encode())
            await stage.settle()
            return client.take_all()

        for number in range(1, 13):
            assert b"c OK " in await add(number, 0, 50)
            assert b"c OK " in await add(number, 50, 50)
        said = await add(1, 100, 1)
        assert said.endswith(b"c NO [LIMIT] The message has too many keywords\r\n")
        assert b"c OK " in await add(1, 99, 1)
        client.send(b"d STORE 1 -FLAGS (k1x0)\r\ne SELECT INBOX\r\n")
        await stage.settle()
        (told,) = re.findall(rb"\* FLAGS \((.*)\)\r\n", client.take_all())
        assert told.count(b" k") == MAX_KEYWORDS_TOLD
        await stage.close()

    asyncio.run(story())


def test_so_many_subscriptions():
    """Names outlive their folders; 2000 may be subscribed, and one that is may be so again."""

    async def story() -> None:
        stage = Stage()
        account = await stage.house.add("alice", None)
        for number in range(
            MAX_SUBSCRIPTIONS - len(await stage.mailboxes.subscriptions(account.id))
        ):
            await stage.mailboxes.subscribe(account.id, f"f{number}", on=True)
        await stage.mailboxes.subscribe(account.id, "f0", on=True)
        with pytest.raises(InvalidError, match="too many subscriptions"):
            await stage.mailboxes.subscribe(account.id, "one more", on=True)
        await stage.mailboxes.subscribe(account.id, "f0", on=False)
        await stage.mailboxes.subscribe(account.id, "one more", on=True)

    asyncio.run(story())


def test_a_program_is_logged_once(capsys):
    """Whatever a stranger says with ID, and however often, one short line of it stands in the log."""
    fields = f'"name" "{"é" * 500}" "support-url" "{"x" * 3000}"'
    play(f"A> a1 ID ({fields})\nA<...\nA< a1 OK ID completed\n" * 3)
    (line,) = [each for each in capsys.readouterr().out.splitlines() if "client identified" in each]
    assert len(line) < 1000
