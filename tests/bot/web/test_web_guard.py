"""Who may call the console, and what its pages may do in a browser."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from bot.web.guard import refusal_of
from tests.fakes.web_console import Console

JSON = {"Content-Type": "application/json"}


def refusal(method: str, **headers: str) -> int | None:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = refusal_of(make_mocked_request(method, "/", headers=names))
    return answer.status if answer is not None else None


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "localhost:8080", "[::1]:8080", "127.0.0.1"])
def test_this_machines_own_names_are_served(host: str) -> None:
    assert refusal("GET", Host=host) is None


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "", "[", "0.0.0.0:8080"]
)
def test_another_name_for_this_address_is_refused(host: str) -> None:
    assert refusal("GET", Host=host) == 403


def test_a_write_from_the_page_itself_is_served() -> None:
    headers = {"Host": "localhost:8080", "Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-origin"}
    assert refusal("POST", **headers, **JSON) is None


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:3000", "https://localhost", "", "x["]
)
def test_a_write_from_another_page_is_refused(origin: str) -> None:
    assert refusal("POST", Host="localhost:8080", Origin=origin, **JSON) == 403
    assert refusal("PUT", Host="localhost:8080", Origin=origin, **JSON) == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_write_that_the_browser_calls_foreign_is_refused(site: str) -> None:
    assert refusal("POST", Host="localhost", Sec_Fetch_Site=site, **JSON) == 403


def test_a_program_without_an_origin_may_write_json() -> None:
    assert refusal("POST", Host="localhost", **JSON) is None
    assert refusal("POST", Host="localhost", Content_Type="text/plain") == 415
    assert refusal("POST", Host="localhost") == 415


async def test_every_response_carries_the_policy(console: Console) -> None:
    for path in ("/", "/static/app.js", "/api/start", "/api/nothing", "/api/conversations/c-x"):
        response = await console.browser.get(path)
        policy = response.headers["Content-Security-Policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_answers_are_not_kept_by_caches(console: Console) -> None:
    assert (await console.browser.get("/api/start")).headers["Cache-Control"] == "no-store"
    assert (await console.browser.get("/static/app.js")).headers["Cache-Control"] == "no-cache"


async def test_a_rebound_name_reads_nothing(console: Console) -> None:
    response = await console.browser.get("/api/start", headers={"Host": "evil.example"})
    assert response.status == 403
    assert "Set-Cookie" not in response.headers


async def test_an_unknown_path_is_answered_in_json(console: Console) -> None:
    response = await console.browser.get("/api/nothing")
    assert response.status == 404
    assert (await response.json())["error"]["message"]


async def test_what_is_far_too_long_is_refused_with_a_hint(console: Console) -> None:
    response = await console.browser.post("/api/questions", json={"text": "x" * 2_000_000})
    assert response.status == 413
    assert "too long" in (await response.json())["error"]["message"]


async def test_a_defect_is_answered_with_an_error_id(console: Console, capsys: pytest.CaptureFixture[str]) -> None:
    console.library.passages = {}  # type: ignore[assignment]
    console.library.passage = None  # type: ignore[assignment, method-assign]
    response = await console.browser.get("/api/documents/p1")
    assert response.status == 500
    error = (await response.json())["error"]
    assert error["error_id"] in capsys.readouterr().out
    assert "error id" in error["message"]


async def test_a_database_that_is_down_is_said_to_be(console: Console) -> None:
    console.store.down = True
    response = await console.browser.post("/api/questions", json={"text": "why?"})
    assert response.status == 503
    assert "Try again" in (await response.json())["error"]["message"]
