"""What goes over the wire: the base of all documents, and the texts that may come in them."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


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
