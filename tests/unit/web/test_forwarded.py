"""The pages that readers of our mail open: what they say, and the headers that guard them."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from tests.support.forwarding import PUBLIC_URL, TARGET, ForwardHouse
from um.core.forwarding import AddressState, CopyMode
from um.core.message import MessageKind
from um.web.forwarded import forwarded_routes

HOSTILE = b"<svg onload=alert(1)>"


def run(story):
    async def main():
        house = ForwardHouse()
        alice = await house.add(language="fr")
        app = FastAPI()
        app.include_router(forwarded_routes(house.links, house.book))
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as web:
            await story(house, alice, web)

    asyncio.run(main())


async def link(house, alice):
    await house.confirmed(alice, kind=MessageKind.FAX, mode=CopyMode.LINK)
    await house.fax(alice, pdf=HOSTILE)
    await house.sender.tick()
    text = house.relay.message().get_body(("plain",)).get_content()
    return next(word for word in text.split() if word.startswith(PUBLIC_URL))


def test_a_document_is_a_file_and_nothing_else():
    """Whatever is in it: it is saved, under its own type, in no origin of ours, and not kept."""

    async def story(house, alice, web):
        url = await link(house, alice)
        found = await web.get(url)
        assert (found.status_code, found.content) == (200, HOSTILE)
        assert found.headers["content-type"] == "application/pdf"
        assert found.headers["content-disposition"].startswith('attachment; filename="fax-')
        assert found.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in found.headers["content-security-policy"]
        assert "no-store" in found.headers["cache-control"]
        assert found.headers["referrer-policy"] == "no-referrer"
        assert (await web.head(url)).content == b""

    run(story)


@pytest.mark.parametrize("number", range(1, 5))
def test_a_link_that_was_tampered_with(number):
    """Any other word in it: 404, and the page says nothing of what there is."""

    async def story(house, alice, web):
        words = (await link(house, alice)).split("/")
        for other in ("0", "../../etc/passwd", "%00", "é" * 10):
            changed = [*words]
            changed[-number] = other
            found = await web.get("/".join(changed))
            assert found.status_code == 404
            assert "fax" not in found.text

    run(story)


def test_confirming_takes_a_button():
    """Looking changes nothing, however often; the button works once; the page is in their language."""

    async def story(house, alice, web):
        await house.book.add(alice.id, TARGET)
        await house.sender.tick()
        url = f"{PUBLIC_URL}/confirm/{house.mailed_token()}"
        for _ in range(2):
            page = await web.get(url)
            assert page.status_code == 200
            assert TARGET in page.text
            assert "Oui, confirmer cette adresse" in page.text
        assert (await house.book.every(alice.id))[0].state is AddressState.UNCONFIRMED
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert f'nonce="{policy.split("nonce-")[1].split(chr(39))[0]}"' in page.text
        assert (await web.post(url)).status_code == 200
        assert (await house.book.every(alice.id))[0].state is AddressState.CONFIRMED
        assert (await web.post(url)).status_code == 404
        assert (await web.get(url)).status_code == 404

    run(story)


def test_when_storage_is_away():
    """503, and a sentence."""

    async def story(house, alice, web):
        url = await link(house, alice)
        house.store.unavailable = True
        assert (await web.get(url)).status_code == 503
        assert (await web.get("/confirm/x")).status_code == 503

    run(story)
