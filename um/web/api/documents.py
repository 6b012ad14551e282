"""What goes over the wire: the base of all documents, and the texts that may come in them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import Path, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from um.core.account import Number, NumberState, NumberUse

T = TypeVar("T")


class Document(BaseModel):
    """What we answer."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Given(BaseModel):
    """What we are given: unknown keys are refused, what was given is never repeated."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )


def _line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be one line of printable characters")
    return text


Line = Annotated[str, Field(max_length=200), AfterValidator(_line)]
"""One line of text, without control characters."""

Octets = Annotated[int, Field(ge=1, le=2**53)]
LogCursor = Annotated[str | None, Query(pattern=r"^[0-9]{1,12}$")]
"""A page's `next`, of a log that only grows."""
AccountIdPath = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
MAX_FAULTS = 20


def faults(errors: Iterable[Mapping[str, Any]]) -> str:
    """Each fault with its place; what was given is not repeated."""
    told = [f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}" for each in errors]
    return "; ".join(told[:MAX_FAULTS])


def latest_first(log: Sequence[T], *, limit: int, after: str | None) -> tuple[list[T], str | None]:
    """A page of a log, which is given oldest first and only grows, and the cursor of the next.

    The cursor counts the lines before the page: what is added meanwhile changes none of them.
    """
    end = len(log) if after is None else min(int(after), len(log))
    start = max(0, end - limit)
    return list(reversed(log[start:end])), str(start) if start else None


class NumberDocument(Document):
    """A telephone number of an account."""

    number: str
    """E.164."""
    use: NumberUse
    state: NumberState
    hold_until: AwareDatetime | None

    @classmethod
    def of(cls, number: Number) -> "NumberDocument":
        """Over the wire."""
        return cls(
            number=number.e164, use=number.use, state=number.state, hold_until=number.hold_until
        )


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON schema with each `$ref` to its own `$defs` replaced by what is meant.

    For a schema that stands within a route's own words: what it refers to is in nobody's components.
    """
    meant = schema.pop("$defs", {})

    def whole(part: Any) -> Any:
        if isinstance(part, list):
            return [whole(each) for each in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return whole(meant[part["$ref"].rpartition("/")[2]])
        return {name: whole(each) for name, each in part.items()}

    return {name: whole(each) for name, each in schema.items()}
