"""The list of messages, and what is done with several at once."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from um.core.errors import InvalidError, NotFoundError
from um.core.ids import AccountId, MailboxId, Uid
from um.core.message import INBOX, SEEN, TRASH, FlagOperation, MessageKind
from um.service.mailbox_folders import is_printable
from um.service.message_list import Wanted
from um.web.api.messages import read_id
from um.web.guards import Customer
from um.web.portal.forms import WritableForm
from um.web.portal.render import moved, page
from um.web.portal.rows import Rows
from um.web.portal.wording import Wording, wording
from um.web.services import Services, WebServices

router = APIRouter()
PAGE = 50
SHOWN_KINDS = (MessageKind.VOICE, MessageKind.FAX, MessageKind.INVOICE, MessageKind.MAIL)


@dataclass(frozen=True, slots=True)
class Choice:
    """A folder or kind that can be chosen."""

    name: str
    href: str
    current: bool
    icon: str = ""
    unseen: int = 0


@router.get("/")
async def list_page(
    request: Request,
    visitor: Customer,
    services: Services,
    folder: Annotated[str, Query(max_length=255)] = INBOX,
    kind: Annotated[str, Query(max_length=20)] = "",
    q: Annotated[str, Query(max_length=200)] = "",
    after: Annotated[str, Query(max_length=80)] = "",
    everywhere: Annotated[bool, Query()] = False,
) -> Response:
    """A folder, the newest first; a search may look into all folders but Trash."""
    account, words = visitor.account, wording(visitor.account.language)
    if kind not in ("", *SHOWN_KINDS) or not is_printable(folder):
        raise NotFoundError("There is no such list")
    everywhere = everywhere and bool(q)
    wanted = Wanted(
        folder=folder,
        everywhere=everywhere,
        kinds=[MessageKind(kind)] if kind else (),
        search=q,
        limit=PAGE,
        after=after or None,
    )
    found = await services.message_list.page(account.id, wanted)
    rows = Rows(words, account.timezone, services.clock.now())
    return await page(
        request,
        visitor,
        "list",
        path="/",
        events="/api/v1/me/events",
        page=found,
        rows=[rows.of(each) for each in found.messages],
        folder=folder,
        everywhere=everywhere,
        folder_name=words("list.everywhere") if everywhere else folder_name(words, folder),
        other_href=href(folder, kind, q, everywhere=not everywhere),
        here_name=folder_name(words, folder),
        where={each.folder: folder_name(words, each.folder) for each in found.messages},
        folders=await _folders(services, account.id, words, "" if everywhere else folder),
        kinds=_kinds(words, folder, kind, q, everywhere=everywhere),
        kind=kind,
        search=q,
        unseen=found.unseen,
        first_href=href(folder, kind, q, everywhere=everywhere) if after else "",
        next_href=href(folder, kind, q, found.next, everywhere=everywhere) if found.next else "",
    )


@router.post("/messages")
async def act(form: WritableForm, services: Services) -> Response:
    """Does one thing with all messages that were picked."""
    deed, account_id = form.text("act"), form.visitor.account.id
    picked: defaultdict[MailboxId, list[Uid]] = defaultdict(list)
    for each in form.every("m"):
        mailbox_id, uid = _picked(each)
        picked[mailbox_id].append(uid)
    if not picked:
        return moved(form.back)
    for mailbox_id, uids in picked.items():
        await _do(services, account_id, deed, mailbox_id, uids)
    return moved(form.back, deed)


def href(
    folder: str = INBOX,
    kind: str = "",
    q: str = "",
    after: str | None = None,
    *,
    everywhere: bool = False,
) -> str:
    """The list's address."""
    values = {
        "folder": folder if folder != INBOX else "",
        "kind": kind,
        "q": q,
        "after": after,
        "everywhere": "1" if everywhere else "",
    }
    query = urlencode({name: value for name, value in values.items() if value})
    return f"/?{query}" if query else "/"


def folder_name(words: Wording, name: str) -> str:
    """As the owner calls it."""
    return {INBOX: words("folder.inbox"), TRASH: words("folder.trash")}.get(name, name)


async def _do(
    services: WebServices, account_id: AccountId, deed: str, mailbox_id: MailboxId, uids: list[Uid]
) -> None:
    """Raises InvalidError for a deed that is none, NotFoundError for another's folder."""
    mailboxes = services.mailboxes
    match deed:
        case "seen" | "unseen":
            operation = FlagOperation.ADD if deed == "seen" else FlagOperation.REMOVE
            await mailboxes.change_flags(
                account_id, mailbox_id, uids=uids, operation=operation, flags=[SEEN]
            )
        case "trash":
            await mailboxes.discard(account_id, mailbox_id, uids=uids)
        case "restore":
            await mailboxes.restore(account_id, mailbox_id, uids=uids)
        case "expunge":
            await mailboxes.erase(account_id, mailbox_id, uids=uids)
        case _:
            raise InvalidError("Nothing is called so")


def _picked(text: str) -> tuple[MailboxId, Uid]:
    mailbox_id, _, uid = text.partition("-")
    if not (uid.isascii() and uid.isdigit() and len(uid) <= 10 and mailbox_id):
        raise InvalidError("That is no message")
    return read_id(text)


async def _folders(
    services: WebServices, account_id: AccountId, words: Wording, current: str
) -> Sequence[Choice]:
    choices = []
    folders = [each.mailbox.name for each in await services.mailboxes.folders(account_id)]
    statuses = await services.mailboxes.statuses(account_id, folders)
    for name in sorted(statuses, key=_place):
        icon = {INBOX: "inbox", TRASH: "trash"}.get(name, "folder")
        unseen = 0 if name == TRASH else statuses[name].unseen
        choices.append(Choice(folder_name(words, name), href(name), name == current, icon, unseen))
    return choices


def _place(name: str) -> tuple[bool, bool, str]:
    """The inbox first, Trash last."""
    return name != INBOX, name == TRASH, name.casefold()


def _kinds(words: Wording, folder: str, current: str, q: str, *, everywhere: bool) -> list[Choice]:
    return [
        Choice(
            words(f"kinds.{kind or 'all'}"),
            href(folder, kind, q, everywhere=everywhere),
            kind == current,
        )
        for kind in ("", *SHOWN_KINDS)
    ]
