"""Decisions about what leaves the house, as properties."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from um.core.forwarding import (
    AddressState,
    AfterCopy,
    CopyMode,
    CopyRule,
    ForwardAddress,
    OutboxEntry,
    OutboxState,
    Purpose,
)
from um.core.message import MessageKind
from um.policy.forwarding import (
    BOUNCE_WINDOW,
    GIVE_UP_AFTER,
    LAST_RETRY,
    LEAST_ATTEMPTS,
    MAX_ADDRESSES,
    MAX_ATTACHED_OCTETS,
    Trace,
    after_copies,
    blames_address,
    bounces_now,
    is_address,
    may_copy,
    mode_for,
    next_try,
    read_rule,
    rule_for,
    rule_key,
    targets,
    write_rule,
)

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
rules = st.builds(CopyRule, st.sampled_from(CopyMode), st.sampled_from(AfterCopy))


def address(state=AddressState.CONFIRMED, **fields):
    return ForwardAddress("a", "b", "anna@example.org", NOON, state, **fields)


@given(rules)
def test_a_rule_is_read_as_it_was_written(rule):
    stored = write_rule(rule)
    preferences = {} if stored is None else {rule_key(MessageKind.FAX): stored}
    assert read_rule(preferences, MessageKind.FAX) == rule
    assert read_rule(preferences, MessageKind.VOICE) == CopyRule()


@given(st.text())
def test_a_rule_that_makes_no_sense_is_off_or_a_rule(text):
    assert isinstance(read_rule({rule_key(MessageKind.VOICE): text}, MessageKind.VOICE), CopyRule)


def test_mail_has_no_rule_and_a_notice_is_told():
    preferences = {"forward.mail": "attach,keep"}
    assert rule_for(preferences, MessageKind.MAIL).mode is CopyMode.OFF
    assert rule_for({}, MessageKind.NOTICE).mode is CopyMode.NOTIFY


@given(st.integers(1, 10_000), st.integers(0, 200 * 3600))
def test_back_off(attempts, age_seconds):
    """Never sooner than a minute (but for the last), never later than four hours, never past the end."""
    now = NOON + timedelta(seconds=age_seconds)
    again = next_try(attempts, NOON, now)
    if age_seconds >= GIVE_UP_AFTER.total_seconds() and attempts >= LEAST_ATTEMPTS:
        assert again is None
    elif age_seconds >= GIVE_UP_AFTER.total_seconds():
        assert timedelta(minutes=1) <= again - now <= LAST_RETRY
    else:
        assert now < again <= min(now + LAST_RETRY, NOON + GIVE_UP_AFTER)
        assert again - now >= timedelta(minutes=1) or again == NOON + GIVE_UP_AFTER


def test_a_server_that_was_away_gives_nothing_up_at_once():
    """Stopped for a week, or its clock was: the first attempts that fail are not the last."""
    now, tried = NOON + timedelta(days=7), 0
    while (again := next_try(tried + 1, NOON, now)) is not None:
        tried, now = tried + 1, again
    assert tried == LEAST_ATTEMPTS - 1
    assert now - (NOON + timedelta(days=7)) > timedelta(hours=2)


@given(st.text(max_size=300))
def test_an_address_can_hold_no_line_end_and_no_bracket(text):
    if is_address(text):
        assert text.isascii()
        assert not set(text) & set('\r\n<>,;: "()[]\\\0')
        assert text.count("@") == 1


def test_addresses():
    for good in ("anna@example.org", "a.b+c@x-y.example.org", "o'neil@example.org"):
        assert is_address(good)
    for bad in (
        "",
        "@x.org",
        "a@x",
        "a@-x.org",
        ".a@x.org",
        "a..b@x.org",
        "a@[127.0.0.1]",
        '"a"@x.org',
        "a" * 65 + "@x.org",
        "a@" + "x." * 200 + "org",
    ):
        assert not is_address(bad)


def test_targets():
    """Confirmed ones only, and never more than may be."""
    everyone = [address(state) for state in AddressState] + [address()] * 9
    found = targets(everyone)
    assert len(found) == MAX_ADDRESSES
    assert {each.state for each in found} == {AddressState.CONFIRMED}


@given(st.lists(st.text(max_size=20), max_size=3), st.integers(0, 60), st.text(max_size=20))
def test_what_was_here_goes_nowhere(others, received, auto):
    own = {"alice@um.example.net"}
    assert not may_copy(Trace([*others, " <ALICE@um.example.net> "], received, auto), own)
    assert not may_copy(Trace(others, 30 + received, auto), own)


def test_what_answers_is_not_copied():
    own = {"alice@um.example.net"}
    assert may_copy(Trace(), own)
    assert may_copy(Trace(auto_submitted="auto-generated"), own)
    assert not may_copy(Trace(auto_submitted="Auto-Replied; vacation"), own)


@given(st.sampled_from(CopyMode), st.integers(0, 10**9))
def test_only_what_is_too_large_becomes_a_link(mode, octets):
    changed = mode is CopyMode.ATTACH and octets > MAX_ATTACHED_OCTETS
    assert mode_for(mode, octets) is (CopyMode.LINK if changed else mode)


row_states = st.lists(
    st.tuples(st.sampled_from(OutboxState), st.sampled_from(AfterCopy)), max_size=5
)


@given(row_states)
def test_a_message_is_touched_only_when_every_copy_was_taken(states):
    rows = [
        OutboxEntry("a", "b", Purpose.COPY, "x", NOON, NOON, after=after, state=state)
        for state, after in states
    ]
    after = after_copies(rows)
    counted = [row for row in rows if row.state is not OutboxState.CANCELLED]
    if after is not AfterCopy.KEEP:
        assert all(row.state is OutboxState.DONE for row in counted)
        assert after in {row.after for row in counted}


def test_bounces():
    """In a row means within a week; a full mailbox or a content that is not liked is none."""
    fresh = address(bounces=2, bounced_at=NOON)
    assert bounces_now(fresh, NOON + BOUNCE_WINDOW) == 3
    assert bounces_now(fresh, NOON + BOUNCE_WINDOW + timedelta(seconds=1)) == 1
    assert bounces_now(address(), NOON) == 1
    for words in ("550 5.1.1 no such user", "5.1.10", "5.2.1 disabled"):
        assert blames_address(words)
    for words in ("554 5.7.1 spam", "552 5.2.2 full", "5.3.4", "550 no", "4.1.1", "15.1.1x"):
        assert not blames_address(words)
    for words in ("553 5.1.7 sender's syntax", "550 5.1.8 Sender address rejected: no domain"):
        assert not blames_address(words)
