"""Templates: every letter is there in every language, and every value in it is escaped."""

import pytest

from um.smtp.letters import LANGUAGES, TemplateLetters

HOSTILE = '<b onclick="x">&\'{{ 1 }}'
VALUES = {
    "kind": "voice",
    "owner": HOSTILE,
    "mailbox": HOSTILE,
    "caller": HOSTILE,
    "subject": HOSTILE,
    "date": HOSTILE,
    "duration": "0:42",
    "pages": 3,
    "mode": "link",
    "links": [
        {"filename": HOSTILE, "size_octets": 2049, "url": "https://x.example.net/l/" + HOSTILE}
    ],
    "expires": HOSTILE,
    "domain": HOSTILE,
    "text": HOSTILE,
    "url": "https://x.example.net/" + HOSTILE,
}


@pytest.mark.parametrize("kind", ["voice", "fax", "invoice"])
@pytest.mark.parametrize("name", ["copy", "confirm", "notice"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_letter_in_every_language(tmp_path, name, language, kind):
    """Both forms say the same values; no markup of a value survives in the page."""
    letter = TemplateLetters(tmp_path).write(name, f"{language}-CA", VALUES | {"kind": kind})
    assert letter.subject
    assert "\n" not in letter.subject
    assert HOSTILE in letter.text
    assert f'<html lang="{language}">' in letter.html
    assert "<b " not in letter.html
    assert 'onclick="' not in letter.html
    assert "&lt;b onclick=" in letter.html


def test_sizes_are_shown(tmp_path):
    letter = TemplateLetters(tmp_path).write("copy", "en", VALUES)
    assert "(3 KiB)" in letter.text
