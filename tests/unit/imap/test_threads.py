"""THREAD and SORT over headers as they come."""

import re
import time
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

import imap_server.threads
from imap_server.ordering import Sortable, in_order
from imap_server.threads import MAX_DEPTH, Node, _by_date, rendered, threads
from imap_server.wire.sort import Algorithm, Criterion, SortKey
from um.core.ids import AccountId, ContentId, MailboxId, ModSeq, Uid
from um.core.message import Entry, MessageKind


def mail(number: int, header: str | bytes = "", *, subject: str | None = None, **fields: str):
    """A message of that number; `fields` are header fields, with `_` for `-`."""
    if isinstance(header, bytes):
        block = header
    else:
        fields = {"Subject": f"Subject {number}" if subject is None else subject} | fields
        block = "".join(
            f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items()
        ).encode()
    entry = Entry(
        mailbox_id=MailboxId("m"),
        uid=Uid(number),
        account_id=AccountId("a"),
        content_id=ContentId("c"),
        kind=MessageKind.MAIL,
        size_octets=number,
        modseq=ModSeq(1),
        flags=frozenset(),
        internal_date=datetime(2026, 1, 1, 0, number % 60, tzinfo=UTC),
        saved_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return Sortable(number, entry, block + b"\r\n")


def told(messages, algorithm: Algorithm = Algorithm.REFERENCES) -> str:
    return rendered(threads(messages, algorithm), lambda number: number).decode()


def test_answers_hang_on_what_they_answer():
    """References first, In-Reply-To without them; quotes in a Message-ID make no difference."""
    conversation = [
        mail(1, Message_ID='<"a"@x>'),
        mail(2, Message_ID="<b@x>", In_Reply_To="<a@x> from me"),
        mail(3, Message_ID="<c@x>", References="<a@x> <b@x>"),
        mail(4, Message_ID="<d@x>", References="<a@x>", In_Reply_To="<c@x>"),
        mail(5, Message_ID="<e@x>"),
    ]
    assert told(conversation) == "(1 (2 3)(4))(5)"


def test_what_is_not_here_holds_its_answers_together():
    """Two answers to a message that was deleted stay one thread; one alone stands for itself."""
    assert told([mail(1, References="<z@x>"), mail(2, References="<z@x>")]) == "((1)(2))"
    assert told([mail(1, References="<z@x> <y@x>")]) == "(1)"


def test_threads_of_one_subject_become_one():
    """An answer without References hangs on what it answers; two equals stand side by side."""
    assert told([mail(1, subject="Re: Tea"), mail(2, subject="Tea")]) == "(2 1)"
    assert told([mail(1, subject="Tea"), mail(2, subject="tea")]) == "((1)(2))"
    three = [mail(number, subject="Re: Tea") for number in (1, 2, 3)]
    assert told(three) == "((1)(2)(3))"
    assert told([mail(1, subject=""), mail(2, subject="")]) == "(1)(2)"


def test_a_message_that_answers_itself_makes_no_loop():
    loop = [
        mail(1, Message_ID="<a@x>", References="<b@x>"),
        mail(2, Message_ID="<b@x>", References="<a@x>"),
        mail(3, Message_ID="<c@x>", References="<c@x>"),
        mail(4, Message_ID="<c@x>", References="<c@x>"),
    ]
    assert told(loop) == "(2 1)(3 4)"


def test_ordered_subject_goes_by_the_date():
    """The first of a subject by its Date is answered by the others, whatever their numbers."""
    late = "Thu, 1 Jan 2026 12:00:00 +0000"
    messages = [
        mail(1, subject="Tea", Date=late),
        mail(2, subject="Re: Tea", Date="Thu, 1 Jan 2026 12:30:00 +0100"),
        mail(3, subject="Milk", Date=late),
        mail(4, subject="Tea", Date="Thu, 1 Jan 2026 10:00:00 -0800"),
    ]
    assert told(messages, Algorithm.ORDEREDSUBJECT) == "(2 (1)(4))(3)"


def test_a_conversation_without_end_is_told():
    """Thousands of answers to answers neither exhaust the stack nor take for ever."""
    chain = [
        mail(number, Message_ID=f"<{number}@x>", References=f"<{number - 1}@x>")
        for number in range(1, 3 * MAX_DEPTH)
    ]
    assert sorted(map(int, re.findall(r"\d+", told(chain)))) == [each.number for each in chain]


IDS = st.sampled_from(["<a@x>", "<b@x>", "<c@x>", "<d@x>", "<e@x>", "junk", ""])
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {
            "Message_ID": IDS,
            "References": st.lists(IDS, max_size=4).map(" ".join),
            "In_Reply_To": IDS,
            "subject": st.sampled_from(["", "Tea", "Re: Tea", "[Fwd: tea]", "Milk"]),
            "Date": st.sampled_from(
                ["", "x", "Thu, 1 Jan 2026 12:00:00 +0000", "Fri, 2 Jan 2026 99:99:99 +9999"]
            ),
        }
    ),
    max_size=12,
)


@given(MESSAGES, st.sampled_from(Algorithm))
def test_every_message_is_in_one_thread(fields, algorithm):
    """Whatever the headers say of each other, each message is told once and the brackets close."""
    messages = [mail(number, **each) for number, each in enumerate(fields, 1)]
    answer = told(messages, algorithm)
    assert sorted(map(int, re.findall(r"\d+", answer))) == [each.number for each in messages]
    depth = 0
    for char in answer:
        depth += (char == "(") - (char == ")")
        assert depth >= 0
    assert depth == 0
    assert "()" not in answer


@given(st.lists(st.binary(max_size=80), max_size=6), st.sampled_from(Criterion), st.booleans())
def test_any_header_has_its_place(headers, criterion, reverse):
    """Damaged headers are sorted somewhere, and equals stay in the order of their numbers."""
    prefix = {Criterion.CC: b"Cc: ", Criterion.DATE: b"Date: ", Criterion.SUBJECT: b"Subject: "}
    start = prefix.get(criterion, b"From: ")
    messages = [mail(number, start + each) for number, each in enumerate(headers, 1)]
    ordered = in_order(messages, [SortKey(criterion, reverse)])
    assert sorted(each.number for each in ordered) == [each.number for each in messages]
    same = [mail(number, b"Subject: x") for number in (1, 2, 3)]
    assert in_order(same, [SortKey(Criterion.SUBJECT, reverse)]) == same


def test_thousands_of_one_subject_are_put_in_order_once(monkeypatch):
    """The work grows with the messages, not with their square: every voicemail has the same subject."""
    looked = [0]

    def by_date(node: Node) -> tuple[float, int]:
        looked[0] += 1
        return _by_date(node)

    monkeypatch.setattr(imap_server.threads, "_by_date", by_date)
    messages = [mail(number, subject="Voice message") for number in range(1, 501)]
    assert told(messages).startswith("((60)(120)")
    assert looked[0] < 5 * len(messages)


def test_a_criterion_counts_once():
    """Named again it decides nothing, however often a client does so."""
    messages = [mail(1, subject="b", From="x@z"), mail(2, subject="a", From="x@z")]
    keys = [SortKey(Criterion.FROM), SortKey(Criterion.SUBJECT), SortKey(Criterion.FROM)]
    assert [each.number for each in in_order(messages, keys)] == [2, 1]
    keys = [SortKey(Criterion.SUBJECT, True), SortKey(Criterion.SUBJECT)]
    assert [each.number for each in in_order(messages, keys)] == [1, 2]


def test_a_date_without_a_zone_is_in_utc(monkeypatch):
    """RFC 5256 §2.2, also where the server stands in another zone."""
    dates = [
        "Thu, 1 Jan 2026 12:00:00",
        "Thu, 1 Jan 2026 11:30:00 -0100",
        "Thu, 1 Jan 2026 12:01:00 Z9",
    ]
    messages = [mail(number, Date=date) for number, date in enumerate(dates, 1)]
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        ordered = in_order(messages, [SortKey(Criterion.DATE)])
    finally:
        monkeypatch.undo()
        time.tzset()
    assert [each.number for each in ordered] == [1, 3, 2]
