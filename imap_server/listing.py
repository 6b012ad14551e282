r"""LIST and LSUB evaluated: which names match, what is said of each (RFC 3501 §6.3.8-9, RFC 5258).

Pure. A parent that has no folder of its own but children is listed as \Noselect.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from um.core.message import INBOX

DELIMITER = "/"


class Pattern:
    """A mailbox pattern: `*` matches anything, `%` anything within one level.

    Runs in time proportional to the name, whatever the pattern (a set of positions as bits), since
    patterns come from the client.
    """

    def __init__(self, pattern: str) -> None:
        self._masks: dict[str, int] = {}
        self._star = self._percent = 0
        position = 0
        for char in _squeezed(pattern):
            bit = 1 << position
            if char == "*":
                self._star |= bit
            elif char == "%":
                self._percent |= bit
            else:
                self._masks[char] = self._masks.get(char, 0) | bit
            position += 1
        self._wild = self._star | self._percent
        self._accept = 1 << position

    def matches(self, name: str) -> bool:
        """Whether the whole of `name` matches."""
        states = self._skip(1)
        for char in name:
            stay = self._star if char == DELIMITER else self._wild
            states = self._skip((states & self._masks.get(char, 0)) << 1 | states & stay)
            if not states:
                return False
        return bool(states & self._accept)

    def _skip(self, states: int) -> int:
        return states | (states & self._wild) << 1


def _squeezed(pattern: str) -> str:
    """Runs of wildcards as one: a run with `*` in it is `*`."""
    out: list[str] = []
    for char in pattern:
        if out and char in "*%" and out[-1] in "*%":
            if char == "*":
                out[-1] = "*"
        else:
            out.append(char)
    return "".join(out)


@dataclass(frozen=True, slots=True)
class Known:
    """A folder as LIST sees it."""

    name: str
    special_use: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of LIST or LSUB."""

    name: str
    attributes: tuple[str, ...]
    exists: bool = True
    child_info: tuple[str, ...] = ()
    """By which selection options a folder below it matches (RFC 5258 §3.5)."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What LIST chooses and tells besides names (RFC 5258 §3.1, §3.2, RFC 6154 §2)."""

    only_subscribed: bool = False
    only_special_use: bool = False
    recursive: bool = False
    show_subscribed: bool = False
    extended: bool = False
    """Who speaks RFC 5258 is told `\\NonExistent`, others `\\Noselect`."""

    @property
    def criteria(self) -> tuple[str, ...]:
        """The selection options, as CHILDINFO spells them."""
        chosen = {"SUBSCRIBED": self.only_subscribed, "SPECIAL-USE": self.only_special_use}
        return tuple(name for name, on in chosen.items() if on)


def list_mailboxes(
    folders: Collection[Known],
    reference: str,
    patterns: Iterable[str],
    *,
    subscribed: Collection[str] = (),
    choice: Choice | None = None,
) -> list[Listed]:
    """The lines of LIST, by name."""
    choice = choice or Choice()
    by_name = {folder.name: folder for folder in folders}
    chosen = _chosen(by_name, subscribed, choice)
    tests = [_test(reference + pattern) for pattern in patterns]
    matching = {
        name
        for name in (_with_parents(chosen) if choice.recursive else chosen)
        if any(test.matches(name) for test in tests)
    }
    # A parent is told for its children's sake only if one of them is not told itself (§3.5).
    for_children = {parent for name in chosen for parent in parents_of(name)}
    hidden_children = {parent for name in chosen - matching for parent in parents_of(name)}
    parents = {parent for name in by_name for parent in parents_of(name)}
    lines = []
    for name in sorted(matching & (chosen | hidden_children)):
        folder = by_name.get(name)
        attributes = _attributes(name, folder, parents, extended=choice.extended)
        if choice.show_subscribed and name in subscribed:
            attributes = (*attributes, "\\Subscribed")
        info = choice.criteria if choice.recursive and name in for_children else ()
        lines.append(Listed(name, attributes, folder is not None, info))
    return lines


def _chosen(by_name: Mapping[str, Known], subscribed: Collection[str], choice: Choice) -> set[str]:
    """All names that the selection options choose, whatever the patterns."""
    chosen = set(subscribed) if choice.only_subscribed else _with_parents(by_name)
    if choice.only_special_use:
        chosen = {name for name in chosen if name in by_name and by_name[name].special_use}
    return chosen


def list_subscribed(
    subscribed: Collection[str], existing: Collection[str], reference: str, pattern: str
) -> list[Listed]:
    r"""The lines of LSUB: `%` also shows the parents of what is subscribed, as \Noselect."""
    full = reference + pattern
    test = _test(full)
    names: Mapping[str, bool] = dict.fromkeys(subscribed, True)
    if full.endswith("%"):
        names = {name: name in subscribed for name in _with_parents(subscribed)}
    return [
        Listed(name, () if own and name in existing else ("\\Noselect",))
        for name, own in sorted(names.items())
        if test.matches(name)
    ]


def parents_of(name: str) -> list[str]:
    """`a`, `a/b` of `a/b/c`."""
    levels = name.split(DELIMITER)
    return [DELIMITER.join(levels[:depth]) for depth in range(1, len(levels))]


def _with_parents(names: Iterable[str]) -> set[str]:
    return {each for name in names for each in (name, *parents_of(name))}


def _attributes(
    name: str, folder: Known | None, parents: Collection[str], *, extended: bool
) -> tuple[str, ...]:
    children = "\\HasChildren" if name in parents else "\\HasNoChildren"
    if folder is None:
        return "\\NonExistent" if extended else "\\Noselect", children
    return (children,) if folder.special_use is None else (children, folder.special_use)


def _test(pattern: str) -> Pattern:
    first, slash, rest = pattern.partition(DELIMITER)
    # INBOX knows no case (RFC 3501 §5.1), and all of a pattern's letters may be part of it.
    return Pattern((INBOX if first.isascii() and first.upper() == INBOX else first) + slash + rest)
