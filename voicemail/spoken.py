"""Numbers, instants and envelopes as prompts, in the languages that the packs speak. Pure.

What a pack lacks is skipped when it is spoken, so that a language without rules of its own (they
are English then) still says the digits.
"""

from datetime import date, datetime, timedelta

from voicemail.events import Words
from voicemail.requests import Counts, Item

LONG_SECONDS = 120
"""From here on the length is told (Asterisk's `saydurationm`)."""


def number(value: int, language: str) -> Words:
    """A cardinal, 0 to 999,999."""
    if value >= 1000:
        thousands = () if value < 2000 and language != "en" else number(value // 1000, language)
        return (*thousands, "digits/thousand", *_rest(value % 1000, language))
    if value >= 100:
        return (*_hundreds(value // 100, language), *_rest(value % 100, language))
    return _below_hundred(value, language)


def digits(text: str) -> Words:
    """A number digit by digit; what is no digit is not spoken."""
    return tuple(f"digits/{digit}" for digit in text if digit in "0123456789")


def instant(at: datetime, today: date, language: str) -> Words:
    """Today, yesterday or the date; then the time of day."""
    if at.date() == today:
        day: Words = ("digits/today",)
    elif at.date() == today - timedelta(days=1):
        day = ("digits/yesterday",)
    else:
        day = _date(at, language)
    return (*day, "digits/at", *_time(at, language))


def envelope(item: Item, today: date, language: str, *, whole: bool = False) -> Words:
    """Date, caller and, if long or `whole`, the length of a message."""
    return (
        "vm-received",
        *instant(item.at, today, language),
        *caller(item),
        *(length(item.seconds, language) if whole or item.seconds >= LONG_SECONDS else ()),
    )


def caller(item: Item) -> Words:
    """Who left a message."""
    spoken = digits(item.caller_number)
    return ("vm-from-phonenumber", *spoken) if spoken else ("vm-unknown-caller",)


def length(seconds: int, language: str) -> Words:
    """How long a message is."""
    minutes, rest = divmod(seconds, 60)
    words: Words = ("vm-duration",)
    if minutes:
        words += (*number(minutes, language), "minute" if minutes == 1 else "vm-minutes")
    if rest or not minutes:
        words += (*number(rest, language), "second" if rest == 1 else "seconds")
    return words


def counts(found: Counts, language: str) -> Words:
    """How many new and old messages there are; then faxes and invoices, and little room, if any."""
    parts = [
        (found.urgent, ("vm-Urgent",)),
        (found.new - found.urgent, ("vm-INBOX",)),
        (found.saved, ("vm-Old",)),
    ]
    voice = _listed([part for part in parts if part[0]], language)
    total = found.new + found.saved
    words: Words = ("vm-youhave", *voice) if voice else ("vm-youhave", "vm-no")
    words += ("vm-message" if total == 1 else "vm-messages",)
    papers = [
        (found.faxes, ("um-fax" if found.faxes == 1 else "um-faxes",)),
        (found.invoices, ("um-invoice" if found.invoices == 1 else "um-invoices",)),
    ]
    listed = _listed([part for part in papers if part[0]], language)
    words += ("vm-youhave", *listed) if listed else ()
    if found.percent_full:
        words += ("um-mailbox-is", *number(found.percent_full, language), "um-percent-full")
    return words


def _listed(parts: list[tuple[int, Words]], language: str) -> Words:
    words: Words = ()
    for amount, what in parts:
        words += (*(("vm-and",) if words else ()), *number(amount, language), *what)
    return words


def _rest(value: int, language: str) -> Words:
    return number(value, language) if value else ()


def _hundreds(value: int, language: str) -> Words:
    """`cent` and `ciento` stand alone for one hundred."""
    if value == 1 and language != "en":
        return ("digits/hundred",)
    return (f"digits/{value}", "digits/hundred")


def _below_hundred(value: int, language: str) -> Words:
    if value <= 20:
        return (f"digits/{value}",)
    if language == "fr" and value >= 60:  # soixante-dix, quatre-vingt-dix
        base = 60 if value < 80 else 80
        return (f"digits/{base}", *_rest(value - base, language))
    if language == "es" and value < 30:
        return (f"digits/{value}",)  # veintiuno … are recorded
    ten, unit = value // 10 * 10, value % 10
    joint: Words = ("vm-and",) if language == "es" and unit else ()
    return (f"digits/{ten}", *joint, *((f"digits/{unit}",) if unit else ()))


def _date(at: datetime, language: str) -> Words:
    weekday, month = f"digits/day-{at.isoweekday() % 7}", f"digits/mon-{at.month - 1}"
    if language == "en":
        return (weekday, month, *_ordinal(at.day))
    return (weekday, *number(at.day, language), month)


def _ordinal(day: int) -> Words:
    if day <= 20 or day % 10 == 0:
        return (f"digits/h-{day}",)
    return (f"digits/{day // 10 * 10}", f"digits/h-{day % 10}")


def _time(at: datetime, language: str) -> Words:
    if language != "en":
        minutes = number(at.minute, language) if at.minute else ()
        return (*number(at.hour, language), "digits/oclock", *minutes)
    hour: Words = (f"digits/{at.hour % 12 or 12}",)
    half: Words = ("digits/a-m" if at.hour < 12 else "digits/p-m",)
    if at.minute == 0:
        return (*hour, "digits/oclock", *half)
    oh: Words = ("digits/oh",) if at.minute < 10 else ()
    return (*hour, *oh, *number(at.minute, language), *half)
