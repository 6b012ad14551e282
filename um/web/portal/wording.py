"""The portal's words: a catalogue file for each language, one text by key.

Laws:
- Each language has every key, and each text the same `{values}` as the English one (a test looks).
- A text is no HTML: the template escapes it with its values.
- `key.one` and `key.many` are one text for a count.
"""

import tomllib
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files

LANGUAGES: Mapping[str, str] = {"en": "English", "fr": "Français", "es": "Español"}
"""What the portal speaks, by code, each in its own words."""
FALLBACK = "en"


class Wording:
    """The words of one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = catalogue(language)

    def __call__(self, key: str, /, **values: object) -> str:
        """The text of that key with its values."""
        text = self._texts[key]
        return text.format(**values) if values else text

    def has(self, key: str) -> bool:
        """Whether there is such a text."""
        return key in self._texts

    def count(self, key: str, n: int) -> str:
        """The text of a count."""
        return self(f"{key}.one" if n == 1 else f"{key}.many", n=self.number(n))

    def number(self, value: float, decimals: int = 0) -> str:
        """As the language writes it: `1,234.5`, `1 234,5`."""
        text = f"{value:,.{decimals}f}"
        marks = {ord(","): self._texts["number.group"], ord("."): self._texts["number.point"]}
        return text.translate(marks)

    def date(self, local: datetime) -> str:
        """`4 March 2026`."""
        month = self._texts["date.months"].split(",")[local.month - 1]
        return self("date.full", day=local.day, month=month, year=local.year)

    def moment(self, local: datetime, now: datetime) -> str:
        """As near as it is: `14:05` today, `Mon 14:05` within a week, else the day."""
        days = (now.date() - local.date()).days
        if days == 0:
            return f"{local:%H:%M}"
        if 0 < days < 7:
            name = self._texts["date.days"].split(",")[local.weekday()]
            return f"{name} {local:%H:%M}"
        month = self._texts["date.short_months"].split(",")[local.month - 1]
        year = "" if local.year == now.year else f" {local.year}"
        return f"{local.day} {month}{year}"

    def month(self, year: int, month: int) -> str:
        """`March 2026`."""
        return f"{self._texts['date.months'].split(',')[month - 1]} {year}"

    def size(self, octets: int) -> str:
        """`12 kB`, `3.4 MB`."""
        if octets < 1024 * 1024:
            return f"{self.number(max(1, octets // 1024))} {self._texts['size.kilo']}"
        mega = octets / 1024 / 1024
        return f"{self.number(mega, 1 if mega < 10 else 0)} {self._texts['size.mega']}"


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """All texts of a language by key. Raises KeyError for one that we do not speak."""
    if language not in LANGUAGES:
        raise KeyError(language)
    file = files("um.web.portal").joinpath("words", f"{language}.toml")
    tables = tomllib.loads(file.read_text("utf-8"))
    return {
        f"{table}.{key}": text for table, texts in tables.items() for key, text in texts.items()
    }


@cache
def wording(language: str) -> Wording:
    """The words of a language, or of its nearest: `fr-CA` is French."""
    near = language.replace("_", "-").partition("-")[0].lower()
    return Wording(near if near in LANGUAGES else FALLBACK)


def accepted(field: str) -> str:
    """The first of our languages that a browser asks for (Accept-Language, RFC 9110 §12.5.4)."""
    for each in field[:200].split(","):
        near = each.partition(";")[0].strip().partition("-")[0].lower()
        if near in LANGUAGES:
            return near
    return FALLBACK
