"""The `promptai` command as a person runs it: real embedder, Chroma, keyword index and SQLite; a scripted model server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from pipeline import prompts
from tests.fakes.model_server import ModelServerFake, Stream
from tests.fakes.web_console import free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE = 300.0
"""Seconds: imports alone take a minute on a machine with much other work. Only a hang reaches it."""

ALERTS = "# Alerts\n\n## Default window\n\nQuality alerts use a window of 5 minutes.\n"
EXPORT = "# Export\n\n## File format\n\nThe nightly export writes Parquet files.\n"
SECRET = "# Contract\n\n## Price\n\nThe zebra package costs 42 crowns a month.\n"


def model(body: Mapping[str, Any]) -> Stream:
    system = str(body["messages"][0]["content"])
    return Stream("Five minutes [1]." if system == prompts.ANSWER else "Alerts have a window.")


@dataclass
class Place:
    """A folder with documents, a data folder and the settings for both."""

    folder: Path
    environment: dict[str, str]

    async def run(self, *arguments: str, **extra: str) -> tuple[int, str, str]:
        """Exit status, standard output and standard error of a command."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", *arguments,
            env={**os.environ, **self.environment, **extra},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
        return process.returncode or 0, out.decode(), err.decode()

    async def json(self, *arguments: str) -> Any:
        status, out, err = await self.run(*arguments, "--json")
        assert status == 0, err
        return json.loads(out)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", "serve",
            env={**os.environ, **self.environment},
            stderr=asyncio.subprocess.PIPE,
            limit=2**22,
        )  # fmt: skip
        assert process.stderr is not None
        try:
            async with asyncio.timeout(PATIENCE):
                while b"Ctrl-C stops" not in (line := await process.stderr.readline()):
                    assert line, "serve ended before it was ready"
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGINT)
            await asyncio.wait_for(process.communicate(), PATIENCE)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("commands")
    for name, text in {"docs/alerts.md": ALERTS, "docs/export.md": EXPORT, "private/contract.md": SECRET}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    async with ModelServerFake(model) as server:
        environment = {
            "PROMPTAI_DATA_DIR": str(folder / "data"),
            "PROMPTAI_PORT": str(free_port()),
            "PROMPTAI_CONSOLE_PORT": str(free_port()),
            "MODEL_URL": server.url,
        }
        place = Place(folder, environment)
        reports = await place.json("sync", str(folder / "docs"))
        assert (reports["added"], reports["passages"]) == (2, 2)
        await place.json("sync", str(folder / "private"), "--tenant", "acme")
        yield place


async def test_a_second_sync_finds_nothing_to_do(place: Place) -> None:
    report = await place.json("sync", str(place.folder / "docs"))
    assert (report["added"], report["changed"], report["removed"], report["unchanged"]) == (0, 0, 0, 2)


async def test_ask_prints_answer_citations_hits_and_timings(place: Place) -> None:
    answer = await place.json("ask", "What is the default window of alerts?")
    assert set(answer) == {
        "text", "abstained", "mode", "citations", "draft", "draft_outcome", "hits", "timings_ms", "models",
    }  # fmt: skip
    assert answer["text"] == "Five minutes [1]."
    assert answer["citations"][0]["location"] == "alerts.md#default-window"
    assert set(answer["citations"][0]) == {"number", "title", "location", "passage_id"}
    assert {"passage_id", "location", "score", "found_by"} <= set(answer["hits"][0])
    assert set(answer["timings_ms"]) == {"draft", "retrieve", "first_token", "total"}
    assert (answer["draft"], answer["mode"], answer["abstained"]) == ("Alerts have a window.", "combined", False)


async def test_ask_streams_text_and_sources_for_people(place: Place) -> None:
    status, out, _ = await place.run("ask", "What is the default window of alerts?", "--mode", "rag")
    assert status == 0
    assert out.startswith("Five minutes [1].")
    assert "[1] Alerts — alerts.md#default-window" in out


async def test_a_question_beside_the_documents_is_abstained_from(place: Place) -> None:
    answer = await place.json("ask", "How do I bake bread with rye flour?")
    assert answer["abstained"]
    assert answer["text"] == prompts.ABSTENTION


async def test_search_tells_which_query_found_each_passage(place: Place) -> None:
    hits = (await place.json("search", "file format", "-k", "1", "--draft", "Parquet files"))["hits"]
    assert [hit["location"] for hit in hits] == ["export.md#file-format"]
    assert {by["query"] for by in hits[0]["found_by"]} >= {"dense(question)"}


async def test_a_tenants_documents_are_found_by_that_tenant_alone(place: Place) -> None:
    own = (await place.json("search", "What does the zebra package cost?", "--tenant", "acme"))["hits"]
    others = (await place.json("search", "What does the zebra package cost?", "--tenant", "other"))["hits"]
    assert own[0]["location"] == "contract.md#price"
    assert "contract.md#price" not in [hit["location"] for hit in others]


async def test_a_missing_folder_is_an_error_that_says_so(place: Place) -> None:
    status, _, err = await place.run("sync", str(place.folder / "nowhere"))
    assert status == 1
    assert "nowhere" in err
    assert "Traceback" not in err


async def test_a_model_server_that_is_down_is_an_error_that_names_the_setting(place: Place) -> None:
    status, _, err = await place.run("ask", "What is the default window?", MODEL_URL=f"http://127.0.0.1:{free_port()}")
    assert status == 1
    assert "MODEL_URL" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"SLACK_BOT_TOKEN": "xoxb-secret-token"}, "SLACK_SIGNING_SECRET"),
        ({"MICROSOFT_APP_ID": "x"}, "MICROSOFT_APP_PASSWORD"),
        ({"PROMPTAI_CONSOLE_HOST": "0.0.0.0"}, "PROMPTAI_CONSOLE_HOST"),
        ({"PROMPTAI_PASSAGES": "many"}, "PROMPTAI_PASSAGES"),
    ],
)
async def test_a_wrong_setting_stops_serve_and_names_the_variable(
    place: Place, wrong: dict[str, str], named: str
) -> None:
    status, _, err = await place.run("serve", **wrong)
    assert status == 1
    assert named in err
    assert "secret-token" not in err


async def test_commands_go_to_the_running_bot_and_ctrl_c_ends_it_cleanly(place: Place) -> None:
    async with place.serving() as process:
        assert (await place.json("search", "file format", "-k", "1"))["hits"]
        assert (await place.json("ask", "What is the default window of alerts?"))["text"] == "Five minutes [1]."
        report = await place.json("sync", str(place.folder / "docs"))
        assert report["unchanged"] == 2
        status, _, err = await place.run("serve")
        assert status == 1
        assert "in use" in err
        await check_listeners(place)
    assert process.returncode == 0


async def test_a_path_that_looks_like_markup_is_printed_as_it_is(place: Place) -> None:
    status, _, err = await place.run("sync", "/nowhere[/b]x")
    assert status == 1
    assert "/nowhere[/b]x" in err
    assert "Traceback" not in err


async def check_listeners(place: Place) -> None:
    console = f"http://127.0.0.1:{place.environment['PROMPTAI_CONSOLE_PORT']}"
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{console}/healthz") as response:
            assert response.status == 200
        async with session.get(f"{console}/readyz") as response:
            assert await response.json() == {
                "status": "ready",
                "parts": {"database": "ok", "index": "ok", "model": "ok", "web": "ok"},
            }
        async with session.get(f"{console}/metrics") as response:
            assert "promptai_questions" in await response.text()


async def test_ratings_of_nothing_are_an_empty_export(place: Place) -> None:
    status, out, _ = await place.run("ratings", "export")
    assert (status, out) == (0, "")


async def test_migrating_an_up_to_date_database_changes_nothing(place: Place) -> None:
    result = await place.json("migrate")
    assert result["before"] == result["now"]


async def test_evaluating_retrieval_on_what_was_synced_needs_no_model(place: Place) -> None:
    questions = place.folder / "questions.jsonl"
    gold = {"gold_pages": ["alerts.md"], "gold_sections": [{"page": "alerts.md", "heading": "Default window"}]}
    questions.write_text(json.dumps({"id": "q1", "question": "What is the window of quality alerts?", **gold}))
    command = ("evaluate", "-q", str(questions), "--retrieval-only", "-o", str(place.folder / "evaluation"))
    report = await place.json(*command)
    values = {cell["metric"]: cell["value"]["value"] for cell in report["cells"] if cell["arm"] == "rag"}
    assert (values["page R@1"], values["section nDCG@10"]) == (1.0, 1.0)
    assert (place.folder / "evaluation" / "report.html").is_file()
    questions.write_text(json.dumps({"id": "q1", "question": "What?", "gold_pages": ["gone.md"]}))
    status, _, err = await place.run(*command)
    assert status == 1
    assert "gone.md" in err
    assert "Traceback" not in err


async def test_declared_sources_are_synced_by_name_or_all_and_listed(place: Place) -> None:
    knowledge = place.folder / "knowledge.toml"
    (place.folder / "handbook").mkdir()
    (place.folder / "handbook" / "travel.md").write_text("# Travel\n\nBook trains early.")
    knowledge.write_text(
        '[[source]]\nname = "handbook"\nkind = "directory"\nlocation = "handbook"\ntenant = "umbrella"\n'
        '[[source]]\nname = "lost"\nkind = "directory"\nlocation = "nowhere"\nschedule = "every 1d"\n'
    )
    declared = {"PROMPTAI_KNOWLEDGE": str(knowledge)}
    status, out, _ = await place.run("sync", "handbook", "--dry-run", "--json", **declared)
    assert (status, json.loads(out)["added"], json.loads(out)["dry"]) == (0, 1, True)
    status, _, told = await place.run("sync", **declared)
    assert status == 1
    assert "handbook: 1 added" in told
    assert "lost: failed" in told
    assert "promptai tenants add umbrella" in told  # nobody could ask about these documents yet
    status, out, _ = await place.run("sources", "--json", **declared)
    found = {each["name"]: each for each in json.loads(out)["sources"]}
    assert (found["handbook"]["tenant"], found["handbook"]["documents"], found["handbook"]["state"]) == (
        "umbrella", 1, "done",
    )  # fmt: skip
    assert (found["lost"]["schedule"], found["lost"]["state"]) == ("every 1d", "failed")
    assert "does not exist" in found["lost"]["last_error"]


async def test_a_misspelt_source_is_named_and_leaves_no_trace(place: Place) -> None:
    status, _, err = await place.run("sync", "hnadbook")
    assert (status, "hnadbook is neither a source in" in err) == (1, True)
    _, out, _ = await place.run("sources", "--json")
    assert not [each for each in json.loads(out)["sources"] if "hnadbook" in each["name"]]


async def test_a_workspace_is_linked_by_an_id_that_can_be_one(place: Place) -> None:
    for place_id in (["--slack", "general"], ["--teams", "example.com"]):
        status, _, err = await place.run("tenants", "link", "default", *place_id)
        assert (status, "looks like" in err) == (1, True)
    for place_id in (["--slack", "T0123456789"], ["--teams", "ABCDEF00-0000-0000-0000-000000000000"]):
        assert (await place.run("tenants", "link", "default", *place_id))[0] == 0
        assert (await place.run("tenants", "unlink", *place_id))[0] == 0


async def test_tenants_are_proven_apart_and_removed_without_a_trace(place: Place) -> None:
    assert (await place.run("tenants", "add", "acme"))[0] == 0
    assert await place.json("tenants", "check") == {"tenants": ["acme", "default"], "leaks": [], "blind": []}
    removed = await place.json("tenants", "remove", "acme", "--yes")
    assert removed["lost"]["documents"] == 1
    assert removed["lost"]["passages"] == removed["lost"]["vectors"] == removed["lost"]["keywords"] == 2  # and a canary
    found = (await place.json("search", "What does the zebra package cost?", "--tenant", "acme"))["hits"]
    assert "contract.md#price" not in [hit["location"] for hit in found]
    status, _, err = await place.run("tenants", "remove", "acme", "--yes")
    assert (status, "no tenant 'acme'" in err) == (1, True)


async def test_the_tenant_that_always_exists_is_not_removed(place: Place) -> None:
    status, _, err = await place.run("tenants", "remove", "default", "--yes")
    assert (status, "default is PROMPTAI_TENANT" in err) == (1, True)


async def test_nothing_is_stale_where_nothing_was_answered(place: Place) -> None:
    status, _, err = await place.run("stale")
    assert (status, "stand as they were" in err) == (0, True)
