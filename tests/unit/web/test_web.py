"""The plain web port: health and metrics for those who are trusted, nothing for others."""

import asyncio
import errno

import pytest
from httpx import ASGITransport, AsyncClient, Response

from tests.support.house import House
from um.core.errors import UnavailableError
from um.service.purge_clock import PurgeClock
from um.web.health import examine, folder_is_writable, has_free_space, purge_held
from um.web.metrics import PrometheusMetrics
from um.web.plain import plain_app


async def well():
    return None


async def locked():
    raise UnavailableError


async def broken():
    raise RuntimeError("a secret path")


def get(path: str, *, checks=None, peer="127.0.0.1", metrics=None, notices=None) -> Response:
    """Ask the application as `peer` would."""
    app = plain_app(
        checks or {"database": well},
        metrics or PrometheusMetrics(),
        lambda host: host == "127.0.0.1",
        notices=notices or {},
    )

    async def ask() -> Response:
        transport = ASGITransport(app=app, client=(peer, 50000))
        async with AsyncClient(transport=transport, base_url="http://um") as client:
            return await client.get(path)

    return asyncio.run(ask())


def test_a_healthy_node_says_so():
    answer = get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "checks": {"database": "ok"}}


def test_a_failing_check_is_named():
    """503 with the check that failed; its cause is not shown."""
    answer = get("/healthz", checks={"spool": well, "database": locked, "other": broken})
    assert answer.status_code == 503
    checks = answer.json()["checks"]
    assert checks["spool"] == "ok"
    assert checks["database"] == UnavailableError.default
    assert "secret" not in answer.text


def test_a_purge_that_the_clock_holds_is_noticed_and_fails_nothing():
    """Neither a fresh house nor a clock that moves on is told of; one that cannot be read is silent."""
    house = House()
    purges = PurgeClock(house.store, house.clock)
    told = {"purge": purge_held(purges), "broken": broken, "locked": locked}

    def seen():
        answer = get("/healthz", notices=told)
        assert (answer.status_code, answer.json()["status"]) == (200, "ok")
        return answer.json().get("notices", {})

    assert seen() == {}
    asyncio.run(house.purge().run())
    house.clock.advance(hours=23)
    assert seen() == {}
    house.clock.advance(days=90)
    assert list(seen()) == ["purge"]
    assert "last trusted 2026-03-04T12:00:00" in seen()["purge"]
    asyncio.run(purges.confirm(house.clock.now()))
    assert seen() == {}


def test_a_check_that_hangs_is_given_up(monkeypatch):
    """A hung disk must not hang the health check."""
    monkeypatch.setattr("um.web.health.LIMIT_SECONDS", 0.01)

    async def hangs():
        await asyncio.Event().wait()

    assert asyncio.run(examine({"disk": hangs})) == {"disk": "No answer within 0.01 s"}


@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/"])
def test_strangers_see_nothing(path):
    """From another address every path is 404."""
    assert get(path, peer="192.0.2.1").status_code == 404


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/core/v1/numbers/+1"])
def test_there_is_nothing_else(path):
    assert get(path).status_code == 404


def test_folder_checks(tmp_path):
    """A missing folder and a disk with too little room are refused in words."""
    checks = {
        "here": folder_is_writable(tmp_path),
        "gone": folder_is_writable(tmp_path / "gone"),
        "roomy": has_free_space(tmp_path, 0),
        "full": has_free_space(tmp_path, 2**62),
    }
    results = asyncio.run(examine(checks))
    assert results["here"] == results["roomy"] == "ok"
    assert results["gone"] == "Cannot write: No such file or directory"
    assert results["full"].startswith("Only ")
    assert list(tmp_path.iterdir()) == []


def test_a_check_on_a_full_disk_leaves_no_file(tmp_path, monkeypatch):
    """What the probe made before the disk was full is removed: the folder is not ours to litter."""

    def full(path, _data):
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    results = asyncio.run(examine({"spool": folder_is_writable(tmp_path)}))
    assert results == {"spool": "Cannot write: No space left on device"}
    assert list(tmp_path.iterdir()) == []


def test_metrics_are_exposed_with_our_prefix():
    metrics = PrometheusMetrics()
    metrics.count("sip_malformed_datagrams")
    metrics.count("sip_malformed_datagrams", 2)
    metrics.gauge("imap_connections", 4)
    metrics.observe("delivery_seconds", 0.03)
    metrics.observe("delivery_octets", 80_000)
    text = get("/metrics", metrics=metrics).text
    assert "um_sip_malformed_datagrams_total 3.0" in text
    assert "um_imap_connections 4.0" in text
    assert 'um_delivery_seconds_bucket{le="0.05"} 1.0' in text
    assert 'um_delivery_octets_bucket{le="262144.0"} 1.0' in text
    assert "process_resident_memory_bytes" in text


def test_a_name_of_two_kinds_harms_nobody():
    """A gauge beside a counter of the same name is our defect, not the caller's."""
    metrics = PrometheusMetrics()
    metrics.count("imap_connections_total")
    metrics.gauge("imap_connections", 4)
    assert b"um_imap_connections_total 1.0" in metrics.text()


def test_two_registries_do_not_meet():
    """Two servers in one process (tests) count apart."""
    first, second = PrometheusMetrics(), PrometheusMetrics()
    first.count("calls")
    second.count("calls")
    assert b"um_calls_total 1.0" in second.text()


PUBLIC = "https://um.example.net:8443"


def plain(path: str, *, peer="127.0.0.1", method="GET") -> Response:
    app = plain_app(
        {}, PrometheusMetrics(), lambda host: host == "127.0.0.1", public_url=f"{PUBLIC}/"
    )

    async def ask() -> Response:
        transport = ASGITransport(app=app, client=(peer, 50000))
        async with AsyncClient(transport=transport, base_url="http://um") as client:
            return await client.request(method, path)

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/", "/"),
        ("/api/v1/session?a=b%20c&d=%0d%0aX:1", "/api/v1/session?a=b%20c&d=%0d%0aX:1"),
        ("/@evil.example/%0d%0aSet-Cookie:x", "/%40evil.example/%0D%0ASet-Cookie%3Ax"),
        ("/healthzz", "/healthzz"),
    ],
)
def test_everything_else_leads_to_the_public_url(path, target):
    """To the same path over HTTPS, and to no other host, whatever the path is."""
    answer = plain(path)
    assert answer.status_code == 308
    assert answer.headers["location"] == PUBLIC + target


def test_a_stranger_is_led_away_from_everything():
    """What is for the trusted looks to others like any other path; a body is not led on."""
    assert plain("/metrics", peer="192.0.2.1").headers["location"] == f"{PUBLIC}/metrics"
    assert plain("/metrics").status_code == 200
    assert plain("/api/v1/session", method="POST").status_code == 404
