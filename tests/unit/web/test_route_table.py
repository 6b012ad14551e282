"""The route table: no door without a lock, whatever is added later."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from tests.support.web_house import WebHouse, check_problem, run
from um.core.credentials import Scope
from um.core.errors import UMError
from um.web.application import bare_app
from um.web.guards import Bearer, customer, own_site, present
from um.web.problems import status_of

SAFE = {"GET", "HEAD", "OPTIONS"}
BEFORE_LOGIN = {
    ("POST", "/api/v1/session"),
    ("POST", "/api/v1/password-reset"),
    ("POST", "/api/v1/password-reset/use"),
}
"""The only routes that somebody who is not known yet may use."""


@dataclass(frozen=True)
class Known:
    """A route with its whole path."""

    path: str
    methods: frozenset[str]
    dependant: Dependant


def routes() -> list[Known]:
    """All of our own; the document that describes them is public."""
    app = bare_app(WebHouse().services)
    found = [
        Known(each.path, frozenset(each.methods), each.original_route.dependant)
        for each in iter_route_contexts(app.routes)
        if isinstance(each.original_route, APIRoute)
    ]
    assert len(found) > 70
    return found


def guards(dependant: Dependant) -> Iterator[object]:
    for each in dependant.dependencies:
        yield each.call
        yield from guards(each)


def test_every_unsafe_route_is_protected_by_form_token_or_bearer():
    """A cookie alone changes nothing; what comes before a login is guarded against other sites."""
    for route in routes():
        calls = list(guards(route.dependant))
        bearer = any(isinstance(each, Bearer) for each in calls)
        for method in route.methods - SAFE:
            if (method, route.path) in BEFORE_LOGIN:
                assert own_site in calls, route.path
            else:
                assert bearer != (present in calls), f"{method} {route.path}"


def test_every_safe_route_knows_who_asks():
    for route in routes():
        calls = list(guards(route.dependant))
        known = customer in calls or any(isinstance(each, Bearer) for each in calls)
        assert known or not route.methods & SAFE, route.path


def test_nothing_opens_without_credentials_nor_with_the_wrong_ones():
    """Every route, for nobody, for a customer without form token, and for a token without scope."""
    web = WebHouse()
    run(web.house.add("alice"))
    owner = web.logged_in()
    del owner.headers["x-csrf-token"]
    tokens = {scope: web.operator(scope, name=scope) for scope in Scope}
    for route in routes():
        scopes = {each.scope for each in guards(route.dependant) if isinstance(each, Bearer)}
        for method in route.methods:
            if (method, route.path) in BEFORE_LOGIN:
                continue
            path = filled(route.path)
            check_problem(web.browser().ask(method, path), 401, "authentication-failed")
            if scopes:
                check_problem(owner.ask(method, path), 401, "authentication-failed")
                for scope in set(Scope) - scopes:
                    check_problem(tokens[scope].ask(method, path), 403, "forbidden")
            elif method not in SAFE:
                check_problem(owner.ask(method, path), 403, "forbidden")
                check_problem(
                    tokens[Scope.ACCOUNTS].ask(method, path), 401, "authentication-failed"
                )


def filled(path: str) -> str:
    """A path with something in each of its places."""
    places = {
        "name": "alice",
        "number": "1",
        "message": f"{'0' * 32}-1",
        "kind": "busy",
        "session_id": "0" * 32,
        "password_id": "0" * 32,
        "account_id": "0" * 32,
        "address": "anna@example.org",
    }
    return path.format(**places)


def errors(kind: type[UMError]) -> Iterator[type[UMError]]:
    for each in kind.__subclasses__():
        yield each
        yield from errors(each)


RAISED = sorted(
    {
        each
        for each in errors(UMError)
        if each.__module__.startswith(("um.core", "um.service", "um.web", "um.policy"))
        and each.code not in {"relay-deferred", "relay-refused"}
    },
    key=lambda each: each.__name__,
)


@pytest.mark.parametrize("kind", RAISED)
def test_every_error_that_may_be_raised_has_a_status(kind):
    """One that is missing in the table would be a 500; what the relay says stays in the outbox."""
    assert 400 <= status_of(kind) <= 507
    assert status_of(kind) != 500
