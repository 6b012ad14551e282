"""Mail as it comes, not as it should: structures, fields and bodies that servers render differently.

By name; CRLF line ends except where their lack is the point. `OWN` are the kinds that we write.
"""

import base64
from datetime import UTC, datetime

from tests.support.invoice import invoice_mail
from um.mime.build import (
    FaxFacts,
    NoticeFacts,
    VoiceFacts,
    fax_message,
    notice_message,
    voice_message,
)

AT = datetime(2026, 11, 23, 2, 15, tzinfo=UTC)
_HOUSE = {
    "domain": "um.example.net",
    "recipient": "+15557654321",
    "received_at": AT,
    "timezone": "America/Toronto",
}
_HEAD = (
    "From: Bob Example <bob@example.org>\r\nTo: alice@um.example.net\r\n"
    "Date: Wed, 04 Mar 2026 12:00:00 +0100\r\n"
)


def mail(fields: str, body: str = "Hello.\r\n", *, head: str = _HEAD) -> bytes:
    """A message with these fields after the usual ones."""
    return (head + fields + "\r\n" + body).encode("utf-8")


def parts(boundary: str, *pieces: str) -> str:
    """A body of parts; each piece is fields, an empty line, a body without its last line end."""
    inside = "".join(f"--{boundary}\r\n{piece}\r\n" for piece in pieces)
    return f"preamble\r\n{inside}--{boundary}--\r\nepilogue\r\n"


def multipart(kind: str, boundary: str, *pieces: str) -> str:
    """The same as the content of an entity: its fields, an empty line, its body."""
    return (
        f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n{parts(boundary, *pieces)}'
    )


def _message(fields: str, content: str, *, head: str = _HEAD) -> bytes:
    return (head + fields + content).encode("utf-8")


TEXT = "Content-Type: text/plain; charset=utf-8\r\n\r\nGrüße\r\nund mehr"
HTML = "Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>=C3=A4</p>"
PDF = (
    'Content-Type: application/pdf; name="a.pdf"\r\nContent-Transfer-Encoding: base64\r\n'
    'Content-Disposition: attachment;\r\n\tfilename="a.pdf"; size=4\r\n'
    "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\nContent-Language: en, fr\r\n"
    "Content-Location: http://example.org/a.pdf\r\nContent-ID: <a@example.org>\r\n"
    "Content-Description: A page\r\n\r\nJVBERg=="
)
ENCLOSED = (
    "From: carol@example.net\r\nTo: dave@example.net\r\nSubject: inside\r\n"
    "Date: Tue, 3 Mar 2026 08:00:00 +0000\r\nMessage-ID: <inside@example.net>\r\n"
)


def _nested(depth: int) -> str:
    content = TEXT
    for level in range(depth):
        content = multipart("mixed", f"level{level}", content)
    return content


OWN: dict[str, bytes] = {
    "voice": voice_message(
        VoiceFacts(
            id="0" * 32,
            duration_seconds=41.6,
            audio=bytes(range(256)) * 40,
            caller_number="+15551234567",
            caller_name='Anna "Q" Müller',
            **_HOUSE,
        )
    ),
    "fax": fax_message(
        FaxFacts(
            id="1" * 32, pages=3, pdf=b"%PDF-1.4" * 300, caller_number="+15551234567", **_HOUSE
        )
    ),
    "invoice": invoice_mail("alice@um.example.net", b"%PDF-1.4" * 99, when=AT),
    "notice": notice_message(
        NoticeFacts(
            id="2" * 32,
            domain="um.example.net",
            recipient="alice",
            at=AT,
            subject="Your mailbox is 80 % full",
            text="Ä\n" * 9,
        )
    ),
}

AWKWARD: dict[str, bytes] = {
    # -- plain -------------------------------------------------------------------------------------
    "plain": mail("Subject: plain\r\nMessage-ID: <plain@example.org>\r\n"),
    "no body": mail("Subject: no body\r\n", ""),
    "no empty line": b"From: a@example.org\r\nSubject: the header is all",
    "header ends in LF": b"From: a@example.org\r\nSubject: no end of line\r\n",
    "no header": b"\r\nOnly a body.\r\n",
    "one empty line": b"\r\n",
    "body without end of line": mail("Subject: open end\r\n", "no line end"),
    "body of empty lines": mail("Subject: lines\r\n", "\r\n\r\n\r\n"),
    "NUL and 8-bit": _message("Subject: octets\r\n", "\r\n", head="From: a@b.c\r\n")
    + b"\x80\xff\xfe caf\xe9\r\n",
    # -- fields ------------------------------------------------------------------------------------
    "UTF-8 header": mail("Subject: Grüße aus Köln\r\nCc: Jürgen <juergen@example.org>\r\n"),
    "Latin-1 header": b"From: J\xfcrgen <j@example.org>\r\nSubject: Gr\xfc\xdfe\r\n\r\nx\r\n",
    "encoded words": mail(
        "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= =?utf-8?b?IGF1cyBLw7Zsbg==?=\r\n"
        "Cc: =?iso-8859-1?q?J=FCrgen?= <juergen@example.org>\r\n"
    ),
    "folded subject": mail("Subject: folded\r\n into\r\n\tthree lines\r\n"),
    "empty subject": mail("Subject:\r\n"),
    "two subjects": mail("Subject: first\r\nSubject: second\r\n"),
    "space before colon": mail("Subject : spaced\r\n"),
    "line that is no field": mail("Subject: broken\r\nthis is no field\r\nX-After: seen\r\n"),
    "quotes and backslashes": mail('Subject: say "hi" \\ bye\r\n'),
    "long subject": mail(f"Subject: {'word ' * 300}\r\n"),
    "reply fields": mail(
        "Subject: Re: plain\r\nIn-Reply-To: <plain@example.org>\r\n"
        "References: <plain@example.org>\r\nMessage-ID: <reply@example.org>\r\n"
    ),
    "second reply": mail(
        "Subject: Re: Re: plain\r\nReferences: <plain@example.org> <reply@example.org>\r\n"
        "Message-ID: <second@example.org>\r\n"
    ),
    "reply to what is not here": mail(
        "Subject: Fwd: elsewhere\r\nReferences: <gone@example.org>\r\n"
        "Message-ID: <other@example.org>\r\n"
    ),
    "no date": mail("Subject: no date\r\n", head="From: a@example.org\r\n"),
    "odd date": mail("Subject: odd\r\nDate: yesterday\r\n", head="From: a@example.org\r\n"),
    "date with comment": mail(
        "Subject: comment\r\nDate: Sun, 1 Mar 2026 23:30:00 -0500 (EST)\r\n",
        head="From: a@example.org\r\n",
    ),
    # -- addresses ---------------------------------------------------------------------------------
    "groups": mail(
        "Subject: groups\r\nCc: Friends: ann@example.org, Ben <ben@example.org>;\r\n"
        "Bcc: undisclosed-recipients:;\r\n"
    ),
    "comments": mail("Subject: c\r\nCc: ann@example.org (Ann), (all) ben@example.org\r\n"),
    "quoted local part": mail('Subject: q\r\nCc: "a b"@example.org, <"c,d"@example.org>\r\n'),
    "route": mail("Subject: r\r\nCc: <@relay.example.org,@two.example.org:ann@example.org>\r\n"),
    "sender and reply-to": mail(
        "Subject: s\r\nSender: out@example.org\r\nReply-To: back@example.org\r\n"
    ),
    "two from": mail("Subject: f\r\nCc: x@y.z,\r\n a@b.c\r\n", head="From: a@b.c, d@e.f\r\n"),
    "name without address": mail("Subject: n\r\nCc: Somebody\r\n"),
    "empty address": mail("Subject: e\r\nCc: <>\r\nBcc:\r\n"),
    "domain literal": mail("Subject: d\r\nCc: a@[192.0.2.1], b@[IPv6:2001:db8::1]\r\n"),
    "broken addresses": mail("Subject: b\r\nCc: foo bar@baz, ann@example.org\r\n"),
    # -- types -------------------------------------------------------------------------------------
    "type without value": mail("Subject: t\r\nContent-Type:\r\n"),
    "type without subtype": mail("Subject: t\r\nContent-Type: text\r\n"),
    "type with comment": mail("Subject: t\r\nContent-Type: text/plain (yes); charset=utf-8\r\n"),
    "type in capitals": mail("Subject: t\r\nContent-Type: TEXT/HTML; CHARSET=US-ASCII\r\n"),
    "parameters folded": mail(
        'Subject: t\r\nContent-Type: text/plain;\r\n charset="utf-8"\r\n ;format=flowed;\r\n'
        "\tdelsp=yes\r\n"
    ),
    "RFC 2231 name": mail(
        "Subject: t\r\nContent-Type: application/pdf;\r\n name*=utf-8''Gr%C3%BC%C3%9Fe.pdf\r\n"
        "Content-Disposition: attachment;\r\n filename*0*=utf-8''Gr%C3%BC;\r\n"
        " filename*1*=%C3%9Fe;\r\n filename*2=.pdf\r\n"
    ),
    "encoded word as name": mail(
        'Subject: t\r\nContent-Type: application/pdf; name="=?utf-8?q?Gr=C3=BC=C3=9Fe=2Epdf?="\r\n'
    ),
    "8-bit name": mail('Subject: t\r\nContent-Type: application/pdf; name="Grüße.pdf"\r\n'),
    "unquoted name": mail("Subject: t\r\nContent-Type: application/pdf; name=my file (1).pdf\r\n"),
    "parameter twice": mail("Subject: t\r\nContent-Type: text/plain; charset=a; charset=b\r\n"),
    "parameter without value": mail("Subject: t\r\nContent-Type: text/plain; charset; x=\r\n"),
    "odd encoding": mail("MIME-Version: 1.0\r\nContent-Transfer-Encoding: uuencode\r\n"),
    "encoding with comment": mail(
        "MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit (eight)\r\n"
    ),
    "encoding without MIME-Version": mail("Content-Transfer-Encoding: base64\r\n", "SGk=\r\n"),
    "disposition with date": mail(
        "MIME-Version: 1.0\r\nContent-Disposition: inline;"
        ' modification-date="Wed, 12 Feb 1997 16:29:51 -0500"\r\n'
    ),
    "languages": mail("MIME-Version: 1.0\r\nContent-Language: en, fr (French), de\r\n"),
    # -- parts -------------------------------------------------------------------------------------
    "alternative": _message("Subject: m\r\n", multipart("alternative", "a", TEXT, HTML)),
    "mixed": _message("Subject: m\r\n", multipart("mixed", "b", TEXT, PDF)),
    "nested": _message(
        "Subject: m\r\n",
        multipart("mixed", "out", multipart("related", "in", HTML, PDF), TEXT, PDF),
    ),
    "fifteen deep": _message("Subject: m\r\n", _nested(15)),
    "part without fields": _message("Subject: m\r\n", multipart("mixed", "c", "\r\njust text")),
    "part of nothing": _message("Subject: m\r\n", multipart("mixed", "c", "", TEXT)),
    "digest": _message(
        "Subject: m\r\n",
        multipart("digest", "d", f"\r\n{ENCLOSED}\r\nOne.", f"\r\n{ENCLOSED}\r\nTwo."),
    ),
    "enclosed message": _message(
        "Subject: m\r\n",
        multipart("mixed", "e", TEXT, f"Content-Type: message/rfc822\r\n\r\n{ENCLOSED}\r\nIn.\r\n"),
    ),
    "enclosed multipart": _message(
        "Subject: m\r\n",
        multipart(
            "mixed",
            "f",
            TEXT,
            f"Content-Type: message/rfc822\r\n\r\n{ENCLOSED}{multipart('mixed', 'g', TEXT, PDF)}",
        ),
    ),
    "message in message": _message(
        "Subject: m\r\n",
        "Content-Type: message/rfc822\r\n\r\n"
        f"{ENCLOSED}Content-Type: message/rfc822\r\n\r\n{ENCLOSED}\r\nDeep.\r\n",
    ),
    "delivery report": _message(
        "Subject: m\r\n",
        multipart(
            "report; report-type=delivery-status",
            "h",
            TEXT,
            "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; a\r\n\r\nAction: failed",
            f"Content-Type: text/rfc822-headers\r\n\r\n{ENCLOSED}",
        ),
    ),
    "no boundary": _message("Subject: m\r\n", f"Content-Type: multipart/mixed\r\n\r\n{TEXT}"),
    "boundary that never comes": _message(
        "Subject: m\r\n", 'Content-Type: multipart/mixed; boundary="never"\r\n\r\nHello.\r\n'
    ),
    "no closing boundary": _message(
        "Subject: m\r\n",
        f'Content-Type: multipart/mixed; boundary="i"\r\n\r\n--i\r\n{TEXT}\r\n--i\r\n{HTML}\r\n',
    ),
    "only a closing boundary": _message(
        "Subject: m\r\n", 'Content-Type: multipart/mixed; boundary="j"\r\n\r\n--j--\r\n'
    ),
    "boundary with spaces after": _message(
        "Subject: m\r\n",
        f'Content-Type: multipart/mixed; boundary="k"\r\n\r\n--k  \r\n{TEXT}\r\n--k-- \r\n',
    ),
    "boundary that begins another": _message(
        "Subject: m\r\n",
        multipart("mixed", "ab", multipart("mixed", "abc", TEXT, HTML), TEXT),
    ),
    "inner never closed": _message(
        "Subject: m\r\n",
        multipart(
            "mixed",
            "l",
            f'Content-Type: multipart/mixed; boundary="n"\r\n\r\n--n\r\n{TEXT}',
            HTML,
        ),
    ),
    "quoted boundary": _message("Subject: m\r\n", multipart("mixed", "=_(a:b)?c", TEXT)),
    "attached image": _message(
        "Subject: m\r\n",
        multipart(
            "mixed",
            "o",
            "Content-Type: image/png\r\nContent-Transfer-Encoding: BASE64\r\n\r\n"
            + base64.encodebytes(bytes(range(256)) * 4).decode().replace("\n", "\r\n"),
        ),
    ),
    "150 parts": _message("Subject: many\r\n", multipart("mixed", "p", *[TEXT] * 150)),
    "500 parts": _message("Subject: many\r\n", multipart("mixed", "q", *[TEXT] * 500)),
}
MAIL: dict[str, bytes] = OWN | AWKWARD
