"""Which messages answer which: THREAD's two algorithms (RFC 5256 §3).

Pure, and without recursion: how deep a conversation is, its senders decide. A link that would make
one deeper than MAX_DEPTH is not made, so that the work stays in proportion to the mailbox.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from imap_server.ordering import Sortable
from imap_server.wire.sort import Algorithm
from um.mime.headers import get

MAX_DEPTH = 256
MAX_REFERENCES = 20
"""The first, and the last of a longer list: those that tell the most."""
_MESSAGE_ID = re.compile(rb"<([^<>\s]{1,998})>")


@dataclass(slots=True, eq=False)
class Node:
    """A message, or the place of one that is not here, and what answers it."""

    message: "Threadable | None" = None
    parent: "Node | None" = None
    children: list["Node"] = field(default_factory=list)

    def first(self) -> "Threadable":
        """The message itself, or the first child of one that is not here."""
        message = self.message or self.children[0].message
        assert message is not None, "what is not here and has no children was pruned"
        return message


@dataclass(frozen=True, slots=True, eq=False)
class Threadable:
    """What the algorithms need of a message, read once."""

    number: int
    sent: float
    subject: str
    is_reply: bool
    identifier: bytes | None
    references: tuple[bytes, ...]

    @classmethod
    def of(cls, message: Sortable) -> "Threadable":
        subject, is_reply = message.subject()
        header = message.header
        own = _identifiers(get(header, "message-id"))
        references = _identifiers(get(header, "references"))
        if not references:
            references = _identifiers(get(header, "in-reply-to"))[:1]
        if len(references) > MAX_REFERENCES:
            references = [references[0], *references[1 - MAX_REFERENCES :]]
        return cls(
            number=message.number,
            sent=message.sent(),
            subject=subject,
            is_reply=is_reply,
            identifier=own[0] if own else None,
            references=tuple(references),
        )


def threads(messages: Iterable[Sortable], algorithm: Algorithm) -> list[Node]:
    """The threads of `messages`, which come by number."""
    return _ALGORITHMS[algorithm]([Threadable.of(message) for message in messages])


def _identifiers(value: bytes | None) -> list[bytes]:
    """The Message IDs in a field, without the quotes that make no difference."""
    return [found.replace(b'"', b"") for found in _MESSAGE_ID.findall(value or b"")]


def _by_date(node: Node) -> tuple[float, int]:
    message = node.first()
    return message.sent, message.number


# -- ORDEREDSUBJECT -------------------------------------------------------------------------------


def _ordered_subject(messages: Sequence[Threadable]) -> list[Node]:
    """One thread for each subject: the first message, answered by all others."""
    by_subject: dict[str, Node] = {}
    for message in sorted(messages, key=lambda each: (each.sent, each.number)):
        root = by_subject.get(message.subject)
        if root is None:
            by_subject[message.subject] = Node(message)
        else:
            root.children.append(Node(message))
    return list(by_subject.values())


# -- REFERENCES -----------------------------------------------------------------------------------


def _references(messages: Sequence[Threadable]) -> list[Node]:
    """Steps 1 to 6 of §3."""
    roots = _pruned(_linked(messages))
    roots.sort(key=_by_date)
    roots = _joined_by_subject(roots)
    for node in reversed(_walk(roots)):
        node.children.sort(key=_by_date)
    return sorted(roots, key=_by_date)


def _linked(messages: Sequence[Threadable]) -> list[Node]:
    """Steps 1 and 2: every message and every reference has a node; returns the roots."""
    known: dict[bytes, Node] = {}
    nodes: list[Node] = []
    for message in messages:
        node = Node(message)
        if message.identifier is not None and message.identifier not in known:
            known[message.identifier] = node
        nodes.append(node)
    for node, message in zip(tuple(nodes), messages, strict=True):
        above: Node | None = None
        for reference in message.references:
            below = known.get(reference)
            if below is None:
                below = known[reference] = Node()
                nodes.append(below)
            if above is not None and below.parent is None and _may_link(above, below):
                below.parent = above
            above = below
        node.parent = None
        if above is not None and _may_link(above, node):
            node.parent = above
    for node in nodes:
        if node.parent is not None:
            node.parent.children.append(node)
    return [node for node in nodes if node.parent is None]


def _may_link(parent: Node, child: Node) -> bool:
    """Whether `parent` is no descendant of `child`, and not too deep already."""
    above: Node | None = parent
    for _ in range(MAX_DEPTH):
        if above is None:
            return True
        if above is child:
            return False
        above = above.parent
    return False


def _walk(roots: Iterable[Node]) -> list[Node]:
    """All nodes, each before its children."""
    found: list[Node] = []
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting += node.children
    return found


def _pruned(roots: list[Node]) -> list[Node]:
    """Step 3: what is not here gives its place to its children; at the top it holds them together."""
    for node in reversed(_walk(roots)):
        kept: list[Node] = []
        for child in node.children:
            if child.message is not None:
                kept.append(child)
            else:
                kept += child.children
        node.children = sorted(kept, key=_by_date)
    top: list[Node] = []
    for root in roots:
        alone = root.message is None and len(root.children) == 1
        if alone or root.message is not None or root.children:
            top.append(root.children[0] if alone else root)
    return top


def _joined_by_subject(roots: Sequence[Node]) -> list[Node]:
    """Step 5: threads of one subject become one."""
    table: dict[str, Node] = {}
    for root in roots:
        subject = root.first().subject
        known = table.get(subject)
        if subject and (known is None or _stands_better(root, known)):
            table[subject] = root
    joined: set[Node] = set()
    for root in roots:
        first = table.get(root.first().subject) if root.first().subject else None
        if first is not None and first is not root:
            _join(first, root)
            joined.add(root)
    return [root for root in roots if root not in joined]


def _stands_better(root: Node, known: Node) -> bool:
    if known.message is None:
        return False
    if root.message is None:
        return True
    return known.message.is_reply and not root.message.is_reply


def _join(first: Node, root: Node) -> None:
    """Put the thread `root` into the thread `first` (step 5.C); step 6 puts all in order."""
    if first.message is None and root.message is None:
        first.children += root.children
    elif first.message is None or (
        root.message is not None and root.message.is_reply and not first.message.is_reply
    ):
        first.children.append(root)
    else:
        own = Node(first.message, children=first.children)
        first.message = None
        first.children = [own, root]


_ALGORITHMS: Mapping[Algorithm, Callable[[Sequence[Threadable]], list[Node]]] = {
    Algorithm.ORDEREDSUBJECT: _ordered_subject,
    Algorithm.REFERENCES: _references,
}


# -- as told --------------------------------------------------------------------------------------


def rendered(roots: Sequence[Node], name: Callable[[int], int]) -> bytes:
    """`(2)(3 6 (4 23)(44 7 96))` (§4); `name` gives what is told of a message number."""
    out: list[bytes] = []
    waiting: list[Node | bytes] = [*reversed(roots)]
    while waiting:
        item = waiting.pop()
        if isinstance(item, bytes):
            out.append(item)
            continue
        words = []
        node = item
        while True:
            if node.message is not None:
                words.append(b"%d" % name(node.message.number))
            if len(node.children) != 1:
                break
            node = node.children[0]
        out.append(b"(" + b" ".join(words))
        if node.children and words:
            out.append(b" ")
        waiting.append(b")")
        waiting += reversed(node.children)
    return b"".join(out)
