"""What one client, one account and all together may take."""

from dataclasses import replace

from imap_server.capabilities import ClientMask
from imap_server.registry import Registry
from imap_server.settings import ImapSettings
from imap_server.wire.limits import Limits
from tests.support.imap_transcript import play


class Dummy:
    """A session that hears nothing."""

    def mailbox_changed(self, modseq: int) -> None:
        raise AssertionError

    def account_changed(self) -> None:
        raise AssertionError

    def end(self, reason: str) -> None:
        raise AssertionError


def test_an_address_has_so_many_connections():
    registry = Registry()
    first, second, third = Dummy(), Dummy(), Dummy()
    assert registry.connect(first, "192.0.2.1", limit=2)
    assert registry.connect(second, "192.0.2.1", limit=2)
    assert not registry.connect(third, "192.0.2.1", limit=2)
    assert registry.connect(third, "192.0.2.2", limit=2)
    registry.disconnect(first, "192.0.2.1")
    assert registry.connect(first, "192.0.2.1", limit=2)


def test_an_account_has_so_many_sessions():
    play(
        """
        !! login A as alice
        !! login B as alice
        C> c1 LOGIN alice "correct horse"
        C< c1 NO [LIMIT] Too many connections of this account
        A= gone
        C> c2 LOGIN alice "correct horse"
        C< c2 OK ...
        """,
        settings=ImapSettings(max_connections_per_account=2),
    )


def test_the_fifth_failure_ends_the_connection():
    """Each answer is later than the one before."""
    play(
        """
        A> a1 LOGIN alice x
        !! after 1 s
        A< a1 NO [AUTHENTICATIONFAILED] ...
        A> a2 LOGIN alice x
        !! after 1 s
        !! after 1 s
        A< a2 NO ...
        A> a3 LOGIN alice x
        !! after 4 s
        A< a3 NO ...
        A> a4 LOGIN alice x
        !! after 8 s
        A< a4 NO ...
        A> a5 LOGIN alice x
        !! after 8 s
        A< a5 NO ...
        A< * BYE Too many failed logins
        A= closed
        """
    )


def test_messages_on_their_way_in_share_a_bounded_room():
    """Memory for APPEND is bounded over all sessions, and is given back."""
    play(
        """
        !! login A as alice
        !! login B as alice
        A> a1 APPEND INBOX {800}
        A< + OK
        B> b1 APPEND INBOX {300}
        B< b1 NO [LIMIT] Too much is arriving at once, try again later
        A= gone
        B> b2 APPEND INBOX {8}
        B< + OK
        B>> A: b\\r\\n\\r\\n\\r\\n
        B< b2 OK ...
        B> b3 APPEND INBOX {995}
        B< + OK
        """,
        settings=ImapSettings(max_incoming_octets=1000),
    )


def test_a_client_that_reads_nothing_hears_no_more_and_is_served_when_it_reads():
    play(
        """
        !! deposit voice to alice
        !! select A as alice in INBOX
        A= slow
        A> a1 FETCH 1 FLAGS
        !! deposit voice to alice
        A= fast
        A< * 1 FETCH (FLAGS (\\Recent))
        A< * 2 EXISTS
        A< * 2 RECENT
        A< a1 OK FETCH completed
        """
    )


def test_a_capability_may_be_hidden():
    play(
        """
        A= connect
        A< * OK [CAPABILITY IMAP4rev1 IMAP4rev2 SASL-IR ID ENABLE LITERAL+ AUTH=PLAIN] UM ready
        """,
        settings=replace(
            ImapSettings(), disabled_capabilities=frozenset({"idle", "starttls", "imap4rev1"})
        ),
    )


def test_a_program_that_names_itself_is_offered_less():
    """[[imap.client]]: what trips one program is kept from it alone, and it is told at once."""
    mask = ClientMask("iphone mail*", frozenset({"STATUS", "LIST-STATUS"}))
    play(
        """
        !! login A as alice
        A> a1 ID ("name" "iPhone Mail 17")
        A< * ID ("name" "UM")
        A< * CAPABILITY ... LIST-EXTENDED ESEARCH ...
        A< a1 OK ID completed
        !! login B as alice
        B> b1 ID ("name" "Thunderbird")
        B< * ID ("name" "UM")
        B< b1 OK ID completed
        """,
        settings=replace(ImapSettings(), client_masks=(mask,)),
    )


def test_literal_minus_takes_no_large_literal_unasked():
    """RFC 7888 §5: 4096 octets may come unasked, more must wait for the continuation."""
    play(
        """
        !! login A as alice
        A> a1 CAPABILITY
        A< * CAPABILITY IMAP4rev1 IMAP4rev2 SASL-IR ID ENABLE IDLE LITERAL- ...
        A< a1 OK CAPABILITY completed
        A>> a2 APPEND INBOX {4097+}\\r\\n
        A>> """
        + "x" * 4097
        + """\\r\\n
        A< a2 BAD Non-synchronizing literal too large
        A>> a3 LIST "" {5+}\\r\\nINBOX\\r\\n
        A< * LIST (\\HasNoChildren) "/" INBOX
        A< a3 OK LIST completed
        A> a4 APPEND INBOX {4097}
        A< + OK
        A>> """
        + "x" * 4097
        + """\\r\\n
        A< a4 OK [APPENDUID ...] APPEND completed
        """,
        settings=replace(ImapSettings(), limits=Limits(literal_minus=True)),
    )


def test_what_is_hidden_cannot_be_turned_on():
    """ENABLE knows nothing of a revision or an extension that the operator has taken away."""
    play(
        """
        !! login A as alice
        A> a1 CAPABILITY
        A< * CAPABILITY IMAP4rev1 SASL-IR ... PREVIEW BINARY REPLACE CATENATE METADATA QUOTA ...
        A< a1 OK CAPABILITY completed
        A> a2 ENABLE IMAP4rev2 UTF8=ACCEPT CONDSTORE
        A< * ENABLED CONDSTORE
        A< a2 OK ENABLE completed
        A> a3 CREATE "é"
        A< a3 BAD Mailbox name is not modified UTF-7
        """,
        settings=ImapSettings(
            disabled_capabilities=frozenset({"IMAP4rev2", "UTF8", "MULTIAPPEND", "NOTIFY"})
        ),
    )
