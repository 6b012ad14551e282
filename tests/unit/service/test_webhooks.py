"""Webhooks: what an operator's program is told, how it is signed, and what it may be."""

import asyncio
import hmac
import json
from hashlib import sha256

import pytest

from tests.support.forwarding import DEFERRED, REFUSED, ForwardHouse
from um.core.errors import InvalidError, NotFoundError
from um.core.forwarding import OutboxState, Purpose
from um.policy.forwarding import GIVE_UP_AFTER
from um.service.forward.rules import check_url
from um.service.forward.sender import AT_ONCE

URL = "https://crm.example.net/voicemail?x=1"


def run(story):
    async def main():
        house = ForwardHouse()
        await story(house, await house.add(full_name="Alice Adams"))

    asyncio.run(main())


def test_an_event_is_posted_and_signed():
    """Each new message is one event with an id of its own, signed over time and body."""

    async def story(house, alice):
        assert await house.rules.webhook(alice.id) is None
        webhook = await house.rules.set_webhook(alice.id, URL)
        assert (await house.voice(alice)).outbox_rows == 1
        house.webhooks.answers.append(DEFERRED)
        await house.sender.tick()
        house.clock.advance(60)
        await house.sender.tick()
        (url, body, headers), (row,) = house.webhooks.posted[0], await house.rows(alice)
        event = json.loads(body)
        assert url == URL
        assert headers["x-um-event-id"] == event["id"] == row.id
        assert (event["event"], event["account"], event["kind"]) == (
            "message.stored",
            "alice",
            "voice",
        )
        assert (event["caller"], event["duration_seconds"]) == ("+15551234567", 42)
        stamp, _, signature = headers["x-um-signature"].partition(",")
        signed = stamp.removeprefix("t=").encode() + b"." + body
        assert int(stamp[2:]) == int(house.clock.now().timestamp())
        digest = hmac.new(webhook.secret.encode(), signed, sha256).hexdigest()
        assert signature == f"v1={digest}"
        assert row.state is OutboxState.DONE

    run(story)


def test_an_event_outlives_its_message():
    """What was told of stays told, though the owner deletes the message at once."""

    async def story(house, alice):
        await house.rules.set_webhook(alice.id, URL)
        await house.voice(alice)
        (entry,) = await house.folder(alice)
        await house.store.run("x", lambda tx: tx.messages.expunge(entry.mailbox_id, [entry.uid]))
        await house.sender.tick()
        assert len(house.webhooks.posted) == 1

    run(story)


def test_another_url_has_another_secret_and_ends_what_waits():
    """Nothing goes to a URL that is no longer the account's; the secret is in no table."""

    async def story(house, alice):
        first = await house.rules.set_webhook(alice.id, URL)
        await house.voice(alice)
        second = await house.rules.set_webhook(alice.id, "http://127.0.0.1:9/x")
        assert first.secret != second.secret
        assert (await house.rules.webhook(alice.id)) == second
        preferences = await house.store.read("p", lambda tx: tx.accounts.preferences(alice.id))
        assert second.secret not in preferences.values()
        assert await house.rules.set_webhook(alice.id, None) is None
        await house.sender.tick()
        assert house.webhooks.posted == []
        assert (await house.voice(alice, key="b")).outbox_rows == 0
        with pytest.raises(NotFoundError):
            await house.rules.webhook("f" * 32)

    run(story)


def test_a_program_that_hangs_holds_up_no_mail():
    """Its events fill their own lane; copies go on leaving beside them."""

    async def story(house, alice):
        await house.confirmed(alice)
        await house.rules.set_webhook(alice.id, URL)
        hangs, ends = asyncio.Event(), asyncio.Event()

        async def post(*_):
            hangs.set()
            await ends.wait()

        house.webhooks.post = post
        for number in range(2 * AT_ONCE):
            await house.voice(alice, key=f"first-{number}")
        ticking = asyncio.create_task(house.sender.tick())
        await hangs.wait()
        while len(house.relay.sent) < 2 * AT_ONCE:
            await asyncio.sleep(0)
        rows = [each for each in await house.rows(alice) if each.purpose is Purpose.WEBHOOK]
        assert {each.state for each in rows} == {OutboxState.WAITING}
        ends.set()
        await ticking
        assert await house.queue.waiting() == []

    run(story)


def test_five_days_of_a_program_that_is_down():
    """Tried as a mail is, and then given up with a trace: the row, its reason, the metrics."""

    async def story(house, alice):
        await house.rules.set_webhook(alice.id, URL)
        await house.voice(alice)
        house.webhooks.answers.extend([DEFERRED] * 100)
        while await house.queue.waiting():
            await house.sender.tick()
            house.clock.advance(hours=4)
        ((row, name),) = await house.queue.failed()
        assert (name, row.purpose, row.state) == ("alice", Purpose.WEBHOOK, OutboxState.GIVEN_UP)
        assert row.last_error == DEFERRED.public
        assert row.attempts > 20
        assert row.finished_at - row.created_at >= GIVE_UP_AFTER
        assert await house.notices(alice) == []

    run(story)


def test_a_webhook_that_is_gone_is_left_alone():
    """It is the operator's: its owner is not told, and no address is blamed."""

    async def story(house, alice):
        await house.rules.set_webhook(alice.id, URL)
        await house.voice(alice)
        house.webhooks.answers.append(REFUSED)
        await house.sender.tick()
        assert (await house.rows(alice))[0].state is OutboxState.REFUSED
        assert await house.notices(alice) == []

    run(story)


@pytest.mark.parametrize(
    "url", ["https://10.0.0.7/x", "https://[fd00:ec2::254]/", "https://169.254.169.254/latest"]
)
def test_an_address_that_is_not_public_is_refused_at_once(url):
    """Unless the operator's configuration names its network."""

    async def story(house, alice):
        with pytest.raises(InvalidError, match="webhook_networks"):
            await house.rules.set_webhook(alice.id, url)
        assert await house.rules.webhook(alice.id) is None
        assert await house.rules.set_webhook(alice.id, "http://127.0.0.1:9/x")

    run(story)


@pytest.mark.parametrize(
    "url", [URL, "https://10.0.0.7/x", "http://127.0.0.1:8000/", "http://[::1]/"]
)
def test_urls_that_may_be(url):
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://crm.example.net/",
        "http://localhost/",
        "ftp://127.0.0.1/",
        "https://user:secret@crm.example.net/",
        "https:///x",
        "https://crm.example.net/#x",
        "https://crm.example.net/a b",
        "https://crm.example.net/\r\nX: y",
        "https://crm.example.net:x/",
        "https://[::1",
        "https://crm..example.net/",
        f"https://{'a' * 64}.example.net/",
        "https://./",
        "file:///etc/passwd",
        "https://crm.example.net/" + "x" * 3000,
    ],
)
def test_urls_that_may_not_be(url):
    """Neither in clear to others, nor with a secret in it, nor anything that is no URL."""
    with pytest.raises(InvalidError):
        check_url(url)
