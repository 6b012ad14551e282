"""What the telephony core asks over HTTP: `/core/v1/numbers/{number}`, `/core/v1/calls`.

Laws:
- Made for a dialplan: a GET reads one consistent view, changes nothing and is answered at once.
- Every error is a problem document; hostile input is a 422, never a 500.
"""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import AliasChoices, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from um.core.errors import InvalidError, TooLargeError, UMError
from um.service.core_desk import CoreDesk, ReportedCall
from um.web.core_formats import SEPARATORS, as_json, as_line, value
from um.web.problems import problem

MAX_BODY_OCTETS = 16 * 1024
MAX_NUMBER_CHARACTERS = 64
_WEEK_SECONDS = 7 * 24 * 3600


class CallDocument(BaseModel):
    """A call record as the core posts it; `duration` may stand for `duration_seconds`."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    id: Annotated[str, Field(pattern=r"^[!-~]{1,128}$")]
    number: Annotated[str, Field(min_length=1, max_length=MAX_NUMBER_CHARACTERS)]
    caller: Annotated[str, Field(max_length=256)] = ""
    started_at: AwareDatetime
    duration_seconds: Annotated[
        float,
        Field(
            ge=0,
            le=_WEEK_SECONDS,
            allow_inf_nan=False,
            validation_alias=AliasChoices("duration_seconds", "duration"),
        ),
    ]
    disposition: Annotated[str, Field(max_length=32)]

    def reported(self) -> ReportedCall:
        """As the service takes it; `NO ANSWER` and `no-answer` are one."""
        return ReportedCall(
            id=self.id,
            number=self.number,
            caller=self.caller,
            started_at=self.started_at,
            duration_seconds=self.duration_seconds,
            disposition=self.disposition.strip().lower().replace(" ", "-").replace("_", "-"),
        )


def core_router(desk: CoreDesk) -> APIRouter:
    """The routes under `/core/v1`."""
    router = APIRouter(prefix="/core/v1")

    @router.get("/numbers/{number:path}", response_model=None)
    async def number(request: Request, number: str) -> Response:
        try:
            return await _number(desk, number, request)
        except UMError as error:
            return problem(error)

    @router.post("/calls", response_model=None)
    async def calls(request: Request) -> Response:
        try:
            return await _add_call(desk, request)
        except UMError as error:
            return problem(error)

    return router


async def _number(desk: CoreDesk, number: str, request: Request) -> Response:
    name, form = request.query_params.get("field"), request.query_params.get("format", "json")
    if form != "json" and form not in SEPARATORS:
        raise InvalidError(f"format is one of json, {', '.join(SEPARATORS)}")
    facts = await desk.number(number.strip()[:MAX_NUMBER_CHARACTERS])
    if name is not None:
        return PlainTextResponse(value(facts, name))
    if form in SEPARATORS:
        return PlainTextResponse(as_line(facts, SEPARATORS[form]))
    return JSONResponse(as_json(facts))


async def _add_call(desk: CoreDesk, request: Request) -> Response:
    try:
        document = CallDocument.model_validate_json(await _body(request))
    except ValidationError as error:
        raise InvalidError(_words(error)) from error
    added = await desk.add_call(document.reported())
    return JSONResponse({"id": document.id, "added": added}, 201 if added else 200)


async def _body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_OCTETS:
            raise TooLargeError(f"A call record has at most {MAX_BODY_OCTETS} octets")
    return body


def _words(error: ValidationError) -> str:
    """Each problem with its key; values are not repeated."""
    items = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(
        f"{'.'.join(map(str, item['loc'])) or 'body'}: {item['msg']}" for item in items
    )
