"""The API against its own document: whatever the document allows or forbids, no 5xx, no surprise."""

import re

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import checks

from tests.support.house import incoming
from tests.support.web_house import WebHouse, run
from um.core.message import MessageKind
from um.web.api import OPENAPI_URL
from um.web.guards import COOKIE

ENDLESS = "/api/v1/me/events"
"""Its stream is seen in `test_streams` and end to end."""


class Anew:
    """An application over a new house whenever it is asked for."""

    web: WebHouse | None = None

    def __init__(self) -> None:
        self.begin()

    async def __call__(self, scope, receive, send) -> None:
        await self.web.app(scope, receive, send)

    def begin(self) -> None:
        self.web = WebHouse(app=self.web.bare if self.web else None)
        account = run(self.web.house.add("alice"))
        run(self.web.house.delivery.deliver(incoming(account, kind=MessageKind.VOICE)))

    def credentials(self) -> tuple[dict[str, str], dict[str, str]]:
        """Fields and cookies with all that opens anything."""
        owner, operator = self.web.logged_in(), self.web.operator()
        return owner.headers | operator.headers, {COOKIE: owner.cookies[COOKIE]}


@schemathesis.serializer("message/rfc822")
def mail(_, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


HOUSE = Anew()
SCHEMA = schemathesis.openapi.from_asgi(OPENAPI_URL, app=HOUSE).exclude(path=ENDLESS)
FEW = settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@SCHEMA.parametrize()
@FEW
def test_who_may_everything_gets_no_server_error(case):
    """With a session, its form token and all scopes: the document is kept to the letter."""
    HOUSE.begin()
    headers, cookies = HOUSE.credentials()
    answer = case.call(headers=headers, cookies=cookies)
    case.validate_response(
        answer,
        checks=[
            checks.not_a_server_error,
            checks.content_type_conformance,
            checks.status_code_conformance,
            checks.response_schema_conformance,
        ],
    )


@SCHEMA.parametrize()
@settings(FEW, max_examples=2)
def test_who_may_nothing_gets_nothing(case):
    """Without credentials: an error, or what is open to all; `test_route_table` sees the 401."""
    HOUSE.begin()
    answer = case.call(headers={"authorization": "", "x-csrf-token": ""}, cookies={COOKIE: ""})
    open_to_all = "password-reset" in case.path or case.path == "/api/v1/session"
    assert answer.status_code < 500
    if not (open_to_all and case.method == "POST"):
        assert answer.status_code >= 400, answer.text


def test_what_the_document_refers_to_is_there():
    """A program that makes a client of it finds every schema."""
    answer = HOUSE.web.browser().get(OPENAPI_URL)
    for reference in set(re.findall(r'"\$ref": *"([^"]+)"', answer.text)):
        found = answer.json()
        for name in reference.removeprefix("#/").split("/"):
            assert name in found, reference
            found = found[name]


def test_the_document_says_how_each_route_is_opened():
    """Every operation names its security scheme, but the doors before a login."""
    document = HOUSE.web.browser().get(OPENAPI_URL).json()
    assert set(document["components"]["securitySchemes"]) == {"session", "formToken", "operator"}
    unguarded = {
        (method, path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if not operation.get("security")
    }
    assert unguarded == {
        ("post", "/api/v1/password-reset"),
        ("post", "/api/v1/password-reset/use"),
    }


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
