"""One's own messages: list, look, save, mark, delete, restore."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import AwareDatetime

from um.core.errors import NotFoundError
from um.core.ids import MailboxId, Uid
from um.core.message import INBOX, SEEN, TRASH, Content, Entry, FlagOperation, Mailbox, MessageKind
from um.mime.clean import clean_filename
from um.service.mailbox_folders import is_printable
from um.service.mailboxes import GoneError, Transfer
from um.service.message_list import MAX_PAGE, Listed, Wanted, listed
from um.service.message_parts import Inside
from um.service.web_sessions import Visitor
from um.web.api.documents import Document, Given
from um.web.downloads import download
from um.web.guards import Customer, Writer
from um.web.services import Services, WebServices

router = APIRouter(prefix="/me", tags=["messages"])

MessageId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}-[1-9][0-9]{0,9}$")]
"""Names a message in its folder; moved, it gets another."""
MAX_UID = 2**32 - 1


class FolderDocument(Document):
    """A folder and its counts."""

    name: str
    special_use: str | None
    messages: int
    unseen: int
    size_octets: int


class MessageDocument(Document):
    """A message in the list."""

    id: str
    folder: str
    kind: MessageKind
    subject: str
    sender: str
    sender_address: str
    at: AwareDatetime
    size_octets: int
    seen: bool
    urgent: bool
    trashed_at: AwareDatetime | None
    duration_seconds: int | None
    pages: int | None

    @classmethod
    def of(cls, message: Listed) -> "MessageDocument":
        """Over the wire."""
        return cls(
            id=message_id(message.mailbox_id, message.uid),
            folder=message.folder,
            kind=message.kind,
            subject=message.subject,
            sender=message.sender,
            sender_address=message.sender_address,
            at=message.at,
            size_octets=message.size_octets,
            seen=message.seen,
            urgent=message.urgent,
            trashed_at=message.trashed_at,
            duration_seconds=message.duration_seconds,
            pages=message.pages,
        )


class MessagePage(Document):
    """Part of a folder, the newest first."""

    folder: str
    """Empty if it is of all folders."""
    messages: list[MessageDocument]
    total: int
    """Messages there that fit kind and search."""
    unseen: int
    """Of those."""
    next: str | None
    """Give it as `after` to get the page that follows; null at the end."""


class PartDocument(Document):
    """A recording, document or attachment of a message."""

    number: str
    filename: str
    media_type: str
    size_octets: int


class OpenedMessage(MessageDocument):
    """A message with what is in it."""

    text: str
    parts: list[PartDocument]


class Moved(Document):
    """Where a message is now."""

    id: str
    folder: str


class MessageChange(Given):
    """What is to be changed."""

    seen: bool


@router.get("/folders")
async def list_folders(visitor: Customer, services: Services) -> list[FolderDocument]:
    """List the folders, by name."""
    account_id = visitor.account.id
    found = []
    folders = await services.mailboxes.folders(account_id)
    names = [each.mailbox.name for each in folders]
    statuses = await services.mailboxes.statuses(account_id, names)
    for folder in folders:
        status = statuses.get(folder.mailbox.name)
        if status is None:  # removed this instant
            continue
        found.append(
            FolderDocument(
                name=folder.mailbox.name,
                special_use=folder.mailbox.special_use,
                messages=status.messages,
                unseen=status.unseen,
                size_octets=status.size_octets,
            )
        )
    return found


@router.get("/messages")
async def list_messages(
    visitor: Customer,
    services: Services,
    folder: Annotated[str, Query(max_length=255)] = INBOX,
    kind: Annotated[tuple[MessageKind, ...], Query(max_length=10)] = (),
    search: Annotated[str, Query(max_length=200)] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
    after: Annotated[str | None, Query(max_length=80)] = None,
    everywhere: bool = False,
) -> MessagePage:
    """List a folder, the newest first; `search` looks for words in sender, subject and text.

    `everywhere`: all folders but Trash, whatever `folder` says.
    """
    wanted = Wanted(
        folder=_folder_name(folder),
        everywhere=everywhere,
        kinds=frozenset(kind),
        search=search,
        limit=limit,
        after=after,
    )
    page = await services.message_list.page(visitor.account.id, wanted)
    return MessagePage(
        folder=page.folder,
        messages=[MessageDocument.of(each) for each in page.messages],
        total=page.total,
        unseen=page.unseen,
        next=page.next,
    )


@router.get("/messages/{message}")
async def show_message(message: MessageId, visitor: Customer, services: Services) -> OpenedMessage:
    """Show a message: its text and the documents in it. It stays unread."""
    mailbox, entry, content = await find(services, visitor, message)
    inside = await services.message_parts.inside(content)
    return _opened(mailbox, entry, content, inside)


@router.patch("/messages/{message}")
async def change_message(
    message: MessageId, given: MessageChange, visitor: Writer, services: Services
) -> MessageDocument:
    """Mark a message as read or unread."""
    mailbox_id, uid = read_id(message)
    operation = FlagOperation.ADD if given.seen else FlagOperation.REMOVE
    changed = await services.mailboxes.change_flags(
        visitor.account.id, mailbox_id, uids=[uid], operation=operation, flags=[SEEN]
    )
    if not changed:
        raise NotFoundError("There is no such message")
    mailbox, entry, content = await find(services, visitor, message)
    return MessageDocument.of(listed(entry, content, folder=mailbox.name))


@router.delete("/messages/{message}", responses={204: {"description": "Gone for good"}})
async def delete_message(
    message: MessageId, response: Response, visitor: Writer, services: Services
) -> Moved | None:
    """Move a message into Trash, from where it can be restored; in Trash, remove it for good."""
    mailbox, entry, _ = await find(services, visitor, message)
    account_id, uids = visitor.account.id, [entry.uid]
    if mailbox.name == TRASH:
        if not await services.mailboxes.erase(account_id, mailbox.id, uids=uids):
            raise GoneError
        response.status_code = 204
        return None
    return _moved(await services.mailboxes.discard(account_id, mailbox.id, uids=uids))


@router.post("/messages/{message}/restore")
async def restore_message(message: MessageId, visitor: Writer, services: Services) -> Moved:
    """Move a message out of Trash, into INBOX."""
    mailbox_id, uid = read_id(message)
    return _moved(await services.mailboxes.restore(visitor.account.id, mailbox_id, uids=[uid]))


@router.get(
    "/messages/{message}/raw",
    response_class=Response,
    responses={200: {"content": {"message/rfc822": {}}}, 206: {"description": "The range"}},
)
async def save_message(
    message: MessageId, request: Request, visitor: Customer, services: Services
) -> Response:
    """Download the message itself (RFC 5322)."""
    _, entry, content = await find(services, visitor, message)
    stem = clean_filename(f"{entry.kind}-{entry.internal_date:%Y%m%dT%H%M%SZ}")
    return download(
        request,
        await services.mailboxes.octets(content),
        media_type="message/rfc822",
        filename=f"{stem}.eml",
        etag=content.id,
    )


@router.get(
    "/messages/{message}/parts/{number}",
    response_class=Response,
    responses={200: {"content": {"*/*": {}}}, 206: {"description": "The range"}},
)
async def save_part(
    message: MessageId,
    number: Annotated[str, Path(pattern=r"^[1-9][0-9]{0,2}(\.[1-9][0-9]{0,2}){0,20}$")],
    request: Request,
    visitor: Customer,
    services: Services,
) -> Response:
    """Download a recording, document or attachment; a range of it for a player that jumps."""
    _, _, content = await find(services, visitor, message)
    part = await services.message_parts.part(content, number)
    return download(
        request,
        part.data,
        media_type=part.media_type,
        filename=part.filename,
        etag=f"{content.id}-{number}",
    )


def message_id(mailbox_id: MailboxId, uid: Uid) -> str:
    """What names a message over the wire."""
    return f"{mailbox_id}-{uid}"


def read_id(message: str) -> tuple[MailboxId, Uid]:
    """Folder and UID. Raises NotFoundError for a UID that none can be."""
    mailbox_id, _, uid = message.partition("-")
    if int(uid) > MAX_UID:
        raise NotFoundError("There is no such message")
    return MailboxId(mailbox_id), Uid(int(uid))


async def find(
    services: WebServices, visitor: Visitor, message: str
) -> tuple[Mailbox, Entry, Content]:
    """The visitor's own message of that id. Raises NotFoundError."""
    mailbox_id, uid = read_id(message)
    return await services.mailboxes.message(visitor.account.id, mailbox_id, uid)


def _opened(mailbox: Mailbox, entry: Entry, content: Content, inside: Inside) -> OpenedMessage:
    return OpenedMessage(
        **MessageDocument.of(listed(entry, content, folder=mailbox.name)).model_dump(),
        text=inside.text.text,
        parts=[
            PartDocument(
                number=each.number,
                filename=each.filename,
                media_type=each.media_type,
                size_octets=each.size_octets,
            )
            for each in inside.parts
        ],
    )


def _moved(transfer: Transfer) -> Moved:
    if not transfer.messages:
        raise GoneError
    target = transfer.target
    return Moved(id=message_id(target.id, transfer.messages[0].target_uid), folder=target.name)


def _folder_name(name: str) -> str:
    if not is_printable(name):
        raise NotFoundError("There is no such mailbox")
    return INBOX if name.isascii() and name.upper() == INBOX else name
