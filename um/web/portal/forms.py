"""What a browser's form brings: read within bounds, its token checked before anything is done.

Laws:
- Every form carries the session's token in the hidden field `token`; without it nothing happens.
- A value is one line, or as the field says; a file is read only by a route that takes files.
"""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends, Request
from starlette.datastructures import FormData, UploadFile
from starlette.types import Message

from um.core.errors import InvalidError
from um.service.web_sessions import Visitor
from um.web.bodies import read_body
from um.web.guards import Customer, check_form_token, check_writable

MAX_FIELDS = 500
MAX_TEXT = 2000


class Form:
    """The fields of one form, and who sends it."""

    def __init__(self, visitor: Visitor, data: FormData) -> None:
        self.visitor = visitor
        self._data = data

    def text(self, name: str, *, most: int = 200) -> str:
        """One line, trimmed; empty if it was not sent. Raises InvalidError."""
        value = self._data.get(name, "")
        if not isinstance(value, str) or len(value) > most or not value.isprintable():
            raise InvalidError(f"{name} has one line of at most {most} characters")
        return value.strip()

    def secret(self, name: str) -> str:
        """As it was typed."""
        value = self._data.get(name, "")
        return value if isinstance(value, str) else ""

    def every(self, name: str) -> list[str]:
        """All values of a field that may be there several times."""
        return [each for each in self._data.getlist(name) if isinstance(each, str)]

    async def file(self, name: str) -> bytes:
        """What a file holds; empty if none was chosen."""
        value = self._data.get(name)
        return await value.read() if isinstance(value, UploadFile) else b""

    @property
    def back(self) -> str:
        """Where the browser wants to be afterwards: always a page of ours."""
        return own_path(self.secret("back"))


async def read_fields(
    request: Request, *, max_files: int = 0, max_fields: int = MAX_FIELDS
) -> FormData:
    """The fields as they were sent. Raises InvalidError for what is no text.

    A multipart form names its own charset, and some of Python's give surrogates or no text at all.
    """
    try:
        data = await request.form(max_files=max_files, max_fields=max_fields)
        for name, value in data.multi_items():
            (name + value if isinstance(value, str) else name).encode()
    except UnicodeError as error:
        raise InvalidError("The form is no text") from error
    return data


async def read_form(request: Request, visitor: Visitor) -> Form:
    """The form of somebody who is logged in. Raises ForbiddenError, InvalidError."""
    data = await read_fields(request)
    form = Form(visitor, data)
    check_form_token(visitor, form.secret("token"))
    return form


async def present_form(request: Request, visitor: Customer) -> Form:
    """A form that a suspended account may send, such as the one that logs out."""
    return await read_form(request, visitor)


async def writable_form(request: Request, visitor: Customer) -> Form:
    """A form that changes something. Raises ReadOnlyError too."""
    form = await read_form(request, visitor)
    check_writable(visitor)
    return form


PresentForm = Annotated[Form, Depends(present_form)]
WritableForm = Annotated[Form, Depends(writable_form)]


async def file_form(request: Request, visitor: Visitor, *, most_octets: int) -> Form:
    """A form with one file of at most so many octets, of somebody who may write.

    The session is known before so much is read; the token, which comes within, before it is used.
    """
    check_writable(visitor)
    body = await read_body(request, most_octets=most_octets + 16 * 1024)

    async def again() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    data = await read_fields(Request(request.scope, again), max_files=1)
    form = Form(visitor, data)
    check_form_token(visitor, form.secret("token"))
    return form


def own_path(path: str) -> str:
    """The path if it is one of ours, else the list."""
    plain = path.isascii() and path.isprintable() and "\\" not in path and len(path) <= MAX_TEXT
    ours = plain and path.startswith("/") and not path.startswith("//")
    return path if ours else "/"


def choice(value: str, options: Mapping[str, object]) -> str:
    """The value if it is one of the options. Raises InvalidError."""
    if value not in options:
        raise InvalidError("That is none of the choices")
    return value
