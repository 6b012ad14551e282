"""Octets of a stranger on their way to an owner's disk: saved, never shown in our origin.

Laws:
- `Content-Disposition: attachment`, nosniff, and a policy that lets nothing run.
- A type that a browser could run, or that nobody knows, becomes octets.
- One range is answered as RFC 9110 §14 says, so that a player can jump; several are not.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from http import HTTPStatus

from fastapi import Request, Response

SANDBOX = "default-src 'none'; sandbox; frame-ancestors 'none'"
OCTETS = "application/octet-stream"
_HARMLESS = frozenset(
    {
        "application/pdf",
        "image/gif",
        "image/jpeg",
        "image/png",
        "image/tiff",
        "message/rfc822",
        "text/calendar",
        "text/csv",
        "text/plain",
        "text/vcard",
    }
)
_RANGE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})")


def harmless(media_type: str) -> str:
    """The type itself, if a browser only saves or plays what it names; else that of plain octets."""
    return media_type if media_type in _HARMLESS or media_type.startswith("audio/") else OCTETS


def download(
    request: Request,
    data: bytes,
    *,
    media_type: str,
    filename: str,
    etag: str | None = None,
    disposition: str = "attachment",
) -> Response:
    """The whole of `data`, or the range that is asked for.

    Args:
        request: may have `Range`, `If-Range` and `If-None-Match`.
        data: the octets.
        media_type: what they are said to be.
        filename: safe to write (`um.mime.clean.clean_filename`).
        etag: names these octets for ever, without quotes; their own hash if left out.
        disposition: `attachment`; `inline` only for what our own pages show.
    """
    tag = f'"{etag or sha256(data).hexdigest()[:32]}"'
    headers = {
        "content-disposition": f'{disposition}; filename="{filename}"',
        "content-security-policy": SANDBOX,
        "accept-ranges": "bytes",
        "etag": tag,
    }
    if tag in [each.strip() for each in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    wanted = request.headers.get("range")
    if wanted is None or request.headers.get("if-range", tag) != tag:
        return _whole(data, media_type, headers)
    match = _RANGE.fullmatch(wanted.strip())
    if match is None or not (match[1] or match[2]):
        return _whole(data, media_type, headers)
    start, end = _bounds(match[1], match[2], len(data))
    if start >= end:
        headers["content-range"] = f"bytes */{len(data)}"
        return Response(status_code=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=headers)
    headers["content-range"] = f"bytes {start}-{end - 1}/{len(data)}"
    return Response(
        data[start:end],
        HTTPStatus.PARTIAL_CONTENT,
        headers=headers,
        media_type=harmless(media_type),
    )


def _whole(data: bytes, media_type: str, headers: Mapping[str, str]) -> Response:
    return Response(data, headers=headers, media_type=harmless(media_type))


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    """Start and end of a range; `-500` is the last 500 octets."""
    if not first:
        return max(0, size - int(last)), size if int(last) else 0
    end = min(size, int(last) + 1) if last else size
    return int(first), end
