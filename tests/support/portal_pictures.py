"""Pictures of the portal for docs/portal: `python -m tests.support.portal_pictures [FOLDER]`.

A server in a folder of its own with some messages, and Chromium that looks at them in three shapes.
"""

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser

from tests.support.browser import PHONE, chromium, visit
from tests.support.inbox import PASSWORD, send_lmtp
from tests.support.invoice import invoice_mail, invoice_pdf
from tests.support.server import PROJECT, Server
from tests.support.speech import save_wav, say

SHAPES: dict[str, dict[str, Any]] = {
    "desktop": {},
    "phone": {"viewport": PHONE, "device_scale_factor": 2, "is_mobile": True},
    "dark": {"color_scheme": "dark"},
}
COLOURS = 128
"""Of a picture that is kept: flat areas and text need no more, and it takes a third of the room."""
LETTER = (
    "From: Carol Rivers <carol@example.org>\r\nTo: anna@um.example.net\r\n"
    "Subject: Tickets for Saturday\r\n\r\nDear Anna,\r\n\r\nthe tickets are at the desk.\r\n\r\nCarol\r\n"
)


def fill(server: Server, folder: Path) -> None:
    """What an owner may have one morning."""
    server.add_account(
        "anna",
        password=PASSWORD,
        numbers=["+15551230001:voice", "+15551230002:fax"],
        extra=["--full-name", "Anna Bell"],
    )
    words = "Hello Anna, this is Bob. The harbour tour is on Saturday at nine. Please call me back."
    sound, long = folder / "one.wav", folder / "two.wav"
    save_wav(say(words), sound)
    save_wav(say(f"{words} {words} {words}"), long)
    server.um("deliver", "voice", "anna", str(long), "--from", "+15559870005")
    document, bill = folder / "fax.pdf", folder / "bill.eml"
    document.write_bytes(invoice_pdf("2026-11-0041"))
    bill.write_bytes(invoice_mail("anna@um.example.net", invoice_pdf(), when=datetime.now(UTC)))
    server.um("deliver", "invoice", "anna", str(bill))
    send_lmtp(server, ["anna@um.example.net"], LETTER.encode(), sender="carol@example.org")
    caller = ["--from", "+15559870002", "--caller-name"]
    server.um("deliver", "fax", "anna", str(document), *caller, "Harbour Office")
    server.um("deliver", "voice", "anna", str(sound), *caller, "Bob Bell")


def take(browser: Browser, server: Server, folder: Path, shape: str) -> None:
    """All pictures of one shape."""
    with visit(browser, server, **SHAPES[shape]) as context:
        page = context.new_page()
        page.goto("/login")
        save(page.screenshot(), folder / f"{shape}-login.png")
        page.get_by_label("User name").fill("anna")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.locator("#list").wait_for()
        save(page.screenshot(), folder / f"{shape}-list.png")
        for name, words in (("voice", "Bob Bell"), ("fax", "Harbour Office")):
            page.goto("/")
            page.locator("a.open").filter(has_text=words).first.click()
            page.wait_for_load_state("load")
            if name == "voice":
                page.locator("audio").evaluate("each => { each.currentTime = 2.4 }")
                page.wait_for_function("() => document.querySelector('.bars .past')")
            save(page.screenshot(), folder / f"{shape}-{name}.png")
            unread = page.get_by_role("button", name="Mark as unread")
            unread.click()
            page.locator("#list").wait_for()
        for name in ("history", "telephone", "forwarding", "keeping", "security"):
            page.goto(f"/{name}")
            save(page.screenshot(), folder / f"{shape}-{name}.png")


def save(png: bytes, path: Path) -> None:
    """As small as it goes without looking worse."""
    path.write_bytes(png)
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(COLOURS).save(path, optimize=True)


def main(target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    settings = {"web": {"listen_tls": ["127.0.0.1:0"]}}
    with (
        tempfile.TemporaryDirectory() as name,
        Server(Path(name) / "um", overrides=settings) as server,
        chromium() as browser,
    ):
        fill(server, Path(name))
        for shape in SHAPES:
            take(browser, server, target, shape)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "docs" / "portal")
