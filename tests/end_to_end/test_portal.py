"""The portal as a person uses it: Debian's Chromium against a running server."""

import re
import wave
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from http.client import HTTPConnection
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Response, expect

from tests.support.browser import PHONE, chromium, violations, visit
from tests.support.inbox import PASSWORD, send_lmtp
from tests.support.invoice import invoice_mail, invoice_pdf
from tests.support.mail_sink import MailSink
from tests.support.server import Server
from tests.support.speech import save_wav, say
from tests.support.telephone import Press, Silence, Telephone, WaitForHangUp
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow
NUMBER = "+15551230001"
PIN = "280641"
STATUS = re.compile(r"Failed to load resource: the server responded with a status of 4\d\d")
"""What Chromium writes about a page that tells of an error, as it shall."""
HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
SPOKEN = "Hello Anna, this is Bob. Please call me back about the harbour tour on Saturday morning."


@pytest.fixture(scope="module")
def sink() -> Iterator[MailSink]:
    with MailSink() as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, sink: MailSink) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("portal")
    settings = {"smtp": {"relay": sink.url}, "web": {"listen_tls": ["127.0.0.1:0"]}}
    with Server(folder / "um", overrides=settings) as running:
        running.add_account(
            "anna", password=PASSWORD, numbers=[NUMBER], extra=["--full-name", "Anna Bell"]
        )
        deliver_all(running, folder)
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """The owner, signed in."""
    with visit(browser, server) as context:
        yield sign_in(context)


def deliver_all(server: Server, folder: Path) -> None:
    """A voicemail, a fax, a bill, and what hostile callers and senders are called."""
    sound = save_wav(say(SPOKEN), folder / "voice.wav")
    caller = ["--from", "+15559870001", "--caller-name"]
    server.um("deliver", "voice", "anna", str(sound), *caller, HOSTILE)
    server.um("deliver", "voice", "anna", str(sound), *caller, "Bob Bell")
    document = folder / "fax.pdf"
    document.write_bytes(invoice_pdf("F-77"))
    server.um("deliver", "fax", "anna", str(document), *caller, "Harbour Ltd")
    bill = folder / "bill.eml"
    at = datetime.now(UTC)
    bill.write_bytes(invoice_mail("anna@um.example.net", invoice_pdf(), when=at))
    server.um("deliver", "invoice", "anna", str(bill))
    letter = EmailMessage(policy=SMTP)
    letter["From"], letter["To"] = "Carol <carol@example.org>", "anna@um.example.net"
    letter["Subject"] = f"Tickets {HOSTILE}"
    letter.set_content(f"Dear Anna,\n\nhere they are. {HOSTILE}\n")
    letter.add_alternative(
        f"<p>Here they are.</p>{HOSTILE}<script>top.x=1</script>", subtype="html"
    )
    send_lmtp(server, ["anna@um.example.net"], letter.as_bytes(), sender="carol@example.org")


def sign_in(context: BrowserContext) -> Page:
    page = context.new_page()
    page.goto("/")
    page.get_by_label("User name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Inbox")).to_be_visible()
    return page


def lookup(server: Server, field: str) -> str:
    """What the core is told of the number."""
    where = server.address("http")
    connection = HTTPConnection(where.host, where.port, timeout=30)
    connection.request("GET", f"/core/v1/numbers/{NUMBER}?field={field}")
    return connection.getresponse().read().decode()


def open_message(page: Page, words: str) -> None:
    page.goto("/")
    page.locator("a.open").filter(has_text=words).first.click()
    expect(page.locator("article.message")).to_be_visible()


def test_an_owner_hears_a_voicemail(page: Page) -> None:
    """The sound plays, the waveform follows, a tap in it jumps, and it can be faster."""
    open_message(page, "Bob Bell")
    audio = page.locator("audio")
    expect(page.locator(".bars rect")).to_have_count(120)
    audio.evaluate("each => each.play()")
    page.wait_for_function("() => document.querySelector('audio').currentTime > 0.3")
    page.wait_for_function("() => document.querySelectorAll('.bars rect.past').length > 2")
    page.get_by_role("button", name=re.compile("^1.5")).click()
    assert audio.evaluate("each => each.playbackRate") == 1.5
    page.get_by_role("slider", name="Position").evaluate(
        "each => { each.value = 800; each.dispatchEvent(new Event('input', {bubbles: true})) }"
    )
    page.wait_for_function(
        "() => (each => each.currentTime > each.duration * 0.7)(document.querySelector('audio'))"
    )


def test_an_owner_reads_a_fax_and_a_bill(page: Page) -> None:
    """The pages are drawn; the document itself is a PDF; bills stand by month."""
    open_message(page, "Harbour Ltd")
    page.wait_for_function("() => document.querySelector('.sheets img').naturalWidth > 700")
    page.goto("/statements")
    page.get_by_role("link", name=re.compile("invoice 2026-11-0042")).click()
    page.wait_for_function("() => document.querySelector('.sheets img').naturalWidth > 700")
    with page.expect_download() as saved:
        page.get_by_role("link", name=re.compile("^Download invoice")).click()
    assert Path(saved.value.path()).read_bytes().startswith(b"%PDF-")
    where = page.locator(".sheets a").first.get_attribute("href")
    document = page.request.get(where or "")
    assert (document.headers["content-type"], document.body()[:5]) == ("application/pdf", b"%PDF-")


def test_the_ring_time_is_what_the_core_is_told(page: Page, server: Server) -> None:
    """And so is whether voicemail is on."""
    page.goto("/telephone")
    page.get_by_label("Ring time").fill("35")
    page.get_by_label("Off:").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert (lookup(server, "ring_seconds"), lookup(server, "voicemail")) == ("35", "off")
    page.get_by_label("On:").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert lookup(server, "voicemail") == "on"


def test_a_greeting_is_uploaded_and_another_recorded(page: Page, tmp_path: Path) -> None:
    """A file of another rate; and what the browser's microphone hears."""
    page.goto("/telephone")
    sound = tmp_path / "greeting.wav"
    with wave.open(str(sound), "wb") as file:
        file.setparams((2, 2, 44100, 0, "NONE", ""))
        file.writeframes(b"\x00\x10\x00\x20\x00\xf0\x00\xe0" * 30_000)
    part = page.locator("section.greeting").filter(has=page.get_by_role("heading", name="Busy"))
    part.locator("input[type=file]").set_input_files(sound)
    part.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("The greeting was saved.")).to_be_visible()
    own = part.locator("audio").get_attribute("src")
    heard = page.request.get(own or "").body()
    assert heard[:4] == b"RIFF"
    assert int.from_bytes(heard[24:28], "little") == 8000
    part = page.locator("section.greeting").filter(
        has=page.get_by_role("heading", name="Temporary")
    )
    part.get_by_role("button", name="Record").click()
    expect(part.get_by_role("button", name="Stop and save")).to_be_visible()
    page.wait_for_timeout(1500)  # what is recorded takes its time
    part.get_by_role("button", name="Stop and save").click()
    expect(page.get_by_text("The greeting was saved.")).to_be_visible()
    assert len(page.request.get(part.locator("audio").get_attribute("src") or "").body()) > 8000


def test_a_pin_that_is_set_here_opens_the_telephone_menu(page: Page, server: Server) -> None:
    """A call to *98 from the own line: a wrong one opens nothing, the PIN does."""
    page.goto("/security")
    form = page.locator("form[action='/security/pin']")
    form.get_by_label("Present password").fill(PASSWORD)
    form.get_by_label("New PIN").fill(PIN)
    form.get_by_role("button", name="Set PIN").click()
    expect(page.get_by_text("The PIN was changed.")).to_be_visible()
    sip = server.address("sip")
    caller = ("P-Asserted-Identity", f"<sip:{NUMBER}@core.example.net>")
    for typed, told, end in (
        ("739518", "retrieval.wrong-pin", Silence(0.5)),
        (PIN, "retrieval.opened", WaitForHangUp(60)),
    ):
        assert told not in server.log_text()
        report = Telephone().call(
            (sip.host, sip.port),
            f"sip:*98@{sip.host}:{sip.port}",
            (Silence(0.5), Press(f"{typed}#"), Silence(1.0), Press("#"), end),
            caller=NUMBER,
            headers=(caller,),
        )
        assert report.status == 200
        wait_for(lambda told=told: told in server.log_text(), told)
    assert PIN not in server.log_text()


def test_copies_go_to_an_address_that_was_confirmed(
    page: Page, server: Server, sink: MailSink, tmp_path: Path
) -> None:
    """The mailed link confirms it; the next voicemail goes out with its sound."""
    page.goto("/forwarding")
    page.get_by_label("New address").fill("anna@example.org")
    page.get_by_label("Present password").fill(PASSWORD)
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_text("waiting for confirmation")).to_be_visible()
    confirmation = sink.wait(1)[0]
    link = next(each for each in confirmation.links if "/confirm/" in each)
    page.goto("/confirm/" + link.partition("/confirm/")[2])
    page.get_by_role("button").click()
    page.goto("/forwarding")
    expect(page.get_by_text("confirmed", exact=True)).to_be_visible()
    page.locator("#mode-voice").select_option("attach")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    sound = save_wav(say("A copy of this goes out.", seconds=2.0), tmp_path / "copy.wav")
    server.um("deliver", "voice", "anna", str(sound), "--from", "+15559870003")
    copy = sink.wait(2)[-1]
    assert copy.recipients == ["anna@example.org"]
    assert copy.part("audio/mpeg")


def test_a_deleted_message_comes_back(page: Page) -> None:
    """Picked and deleted in the list, restored from Trash."""
    page.goto("/?kind=fax")
    page.get_by_label("Select message from Harbour Ltd").check()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Moved to Trash.")).to_be_visible()
    page.goto("/?folder=Trash")
    page.get_by_label("Select message from Harbour Ltd").check()
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_text("Moved back to the inbox.")).to_be_visible()
    page.goto("/?kind=fax")
    expect(page.get_by_text("Harbour Ltd").first).to_be_visible()


def test_a_new_voicemail_appears_without_a_reload(
    page: Page, server: Server, tmp_path: Path
) -> None:
    """Nothing is clicked: the list and the title count one more, and it is said aloud."""
    page.evaluate("window.same = true")
    before = page.locator("#list").get_attribute("data-total")
    sound = save_wav(say("New", seconds=2.0), tmp_path / "new.wav")
    server.um("deliver", "voice", "anna", str(sound), "--caller-name", "Dora Live")
    expect(page.get_by_text("Dora Live").first).to_be_visible()
    assert page.locator("#list").get_attribute("data-total") == str(int(before or 0) + 1)
    expect(page.locator("#said")).to_have_text("A new message has come.")
    assert page.evaluate("window.same")


def test_a_mails_html_runs_nothing_and_asks_for_nothing(page: Page) -> None:
    """In its frame, when it is shown: no script runs, no picture comes from anywhere."""
    asked: list[str] = []
    open_message(page, "Carol")
    expect(page.get_by_text("here they are.")).to_be_visible()

    def note(answer: Response) -> None:
        if answer.frame != page.main_frame:  # the page itself may still be loading its own
            asked.append(answer.url)

    page.on("response", note)
    page.locator("details.rich summary").click()
    expect(page.frame_locator("iframe").get_by_text("Here they are.")).to_be_visible()
    assert [url.rsplit("/", 1)[1] for url in asked] == ["html"]
    assert page.evaluate("window.x") is None
    assert page.title() != "owned"


def test_it_is_read_and_steered_by_keyboard_and_without_script(
    browser: Browser, server: Server
) -> None:
    """Tab and Enter lead into a message; without script the same forms do the same things."""
    with visit(browser, server) as context:
        page = sign_in(context)
        page.keyboard.press("Tab")
        expect(page.locator("a.skip")).to_be_focused()
        page.locator("a.open").first.focus()
        page.keyboard.press("Enter")
        expect(page.locator("article.message")).to_be_visible()
    with visit(browser, server, java_script_enabled=False) as context:
        page = sign_in(context)
        page.locator("a.open").filter(has_text="Bob Bell").first.click()
        page.get_by_role("button", name="Mark as unread").click()
        expect(page.get_by_text("Marked as unread.")).to_be_visible()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("desktop", {}),
        ("phone", {"viewport": PHONE, "is_mobile": True, "has_touch": True}),
        ("dark", {"color_scheme": "dark"}),
    ],
)
def test_every_page_is_accessible_and_safe(
    browser: Browser, server: Server, name: str, options: dict[str, object]
) -> None:
    """axe-core finds nothing serious, nothing overflows a phone, nothing hostile runs or is blocked."""
    errors: list[str] = []
    with visit(browser, server, **options) as context:
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda each: errors.append(each.text) if each.type == "error" else None)
        page.goto("/login")
        look(page, f"{name}-login")
        page.goto("/forgotten")
        look(page, f"{name}-forgotten")
        page.goto("/reset/0123456789abcdef")
        look(page, f"{name}-reset")
        page.get_by_label("New password", exact=True).fill("another horse")
        page.get_by_label("New password again").fill("another horse")
        page.get_by_role("button", name="Set the password").click()
        expect(page.get_by_role("alert")).to_contain_text("expired")
        look(page, f"{name}-reset-refused")
        page.goto("/login")
        page.get_by_label("User name").fill("anna")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_be_visible()
        look(page, f"{name}-login-refused")
        for path in ("confirm/nothing", "l/x/1/2/y"):
            page.goto(f"/{path}")
            look(page, f"{name}-link-gone")
        page.close()
        errors[:] = [each for each in errors if not STATUS.match(each)]
        page = sign_in(context)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda each: errors.append(each.text) if each.type == "error" else None)
        look(page, f"{name}-list")
        messages = [each.get_attribute("href") for each in page.locator("a.open").all()]
        for path in (
            "statements",
            "history",
            "telephone",
            "forwarding",
            "account",
            "security",
            "export",
            "keeping",
            "?folder=Trash",
            "?q=nothing",
            "history?only=faxes",
        ):
            page.goto(f"/{path}")
            look(page, f"{name}-{path.strip('?').replace('folder=', '').lower()}")
        for at, where in enumerate(messages):
            page.goto(where or "")
            kind = (page.locator("article .kind").get_attribute("class") or "").split()[-1]
            look(page, f"{name}-{kind}" if at else f"{name}-first")
        assert errors == []
        page.goto("/nowhere")
        look(page, f"{name}-nowhere")
        page.goto("/account")
        page.get_by_label("Time zone").fill("Nowhere/Land")
        page.get_by_label("Company").fill("Bell & Bell")
        page.locator("form[action='/account'] button").click()
        expect(page.get_by_role("alert")).to_contain_text("Nowhere/Land")
        expect(page.get_by_label("Company")).to_have_value("Bell & Bell")
        look(page, f"{name}-account-refused")
    assert [each for each in errors if not STATUS.match(each)] == []


@pytest.mark.parametrize("name", ["desktop", "phone"])
def test_a_suspended_owner_looks_at_everything(browser: Browser, server: Server, name: str) -> None:
    """With the reason, and nothing that would change anything; axe-core finds nothing serious there."""
    options = {"viewport": PHONE, "is_mobile": True} if name == "phone" else {}
    server.um("account", "suspend", "anna", "--reason", "October is unpaid")
    try:
        with visit(browser, server, **options) as context:
            page = sign_in(context)
            look(page, f"{name}-suspended-list")
            expect(page.locator("#list input[type=checkbox]")).to_have_count(0)
            message = page.locator("a.open").first.get_attribute("href") or ""
            for path in ("telephone", "forwarding", "keeping", "account", "security", "export"):
                page.goto(f"/{path}")
                expect(page.get_by_text("October is unpaid")).to_be_visible()
                look(page, f"{name}-suspended-{path}")
            page.goto(message)
            expect(page.get_by_role("button", name="Delete")).to_have_count(0)
            look(page, f"{name}-suspended-message")
            page.goto("/statements")
            page.locator("a.open").first.click()
            expect(page.locator(".sheets img").first).to_be_visible()
    finally:
        server.um("account", "resume", "anna")


def test_on_a_telephone_by_the_keyboard_alone(browser: Browser, server: Server) -> None:
    """The menu begins where one is, rows of the history are cards, and four seconds are one key."""
    with visit(browser, server, viewport=PHONE, is_mobile=True) as context:
        page = sign_in(context)
        page.goto("/security")
        current = page.locator(".side [aria-current]")
        expect(current).to_be_in_viewport(ratio=1)
        page.goto("/history")
        first = page.locator("tbody tr").first
        assert first.evaluate("each => getComputedStyle(each).display") == "grid"
        assert first.get_by_role("cell").count() >= 4
        open_message(page, "Bob Bell")
        assert (
            page.get_by_role("link", name="Call back").get_attribute("href") == "tel:+15559870001"
        )
        page.wait_for_function("() => document.querySelector('audio').duration > 4.1")
        page.get_by_role("slider", name="Position").focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function("() => document.querySelector('audio').currentTime >= 3.9")
        page.keyboard.press("ArrowLeft")
        page.wait_for_function("() => document.querySelector('audio').currentTime < 0.5")


def test_an_export_is_watched_and_fetched(page: Page) -> None:
    """The page tells how far it is without a reload, and says aloud when the file is there."""
    page.goto("/export")
    page.evaluate("window.same = true")
    page.get_by_role("button", name="Make a new export").click()
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download").click()
    assert Path(saved.value.path()).read_bytes().startswith(b"PK")


def width(page: Page) -> int:
    """Of the window, in pixels of the page."""
    size = page.viewport_size
    assert size is not None
    return size["width"]


def look(page: Page, name: str) -> None:
    """The page as it is, held against what it must be."""
    page.wait_for_load_state("load")
    assert violations(page) == [], name
    # Not `innerWidth`: a telephone makes its page as wide as what overflows.
    assert page.evaluate("document.documentElement.scrollWidth") <= width(page), name
    assert page.title() != "owned"
    assert page.locator("img[src=x]").count() == 0
