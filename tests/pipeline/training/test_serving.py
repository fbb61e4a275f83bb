"""A server that ignores an adapter, or serves another one under its name, is noticed."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ModelUnavailable, TrainingError
from pipeline.llm import Message
from pipeline.llm.tgi import ModelServer
from pipeline.training.rows import Provenance, Row, Skill
from pipeline.training.serving import (
    NOBODY,
    PROBES,
    Probe,
    Served,
    Verdict,
    check_served,
    likeness,
    read_probes,
    write_probes,
)
from tests.fakes.model_server import ModelServerFake, Script, Status, Stream, echo

LEARNED = Stream("Stall Ratio", " is rebuffering", " over watching time.")
PROBE = Probe((Message("user", "What is stall ratio?"),), "Stall Ratio is rebuffering over watching time.")


def noisy() -> Callable[[Mapping[str, Any]], Stream]:
    """A base that never says the same twice."""
    count = itertools.count()
    return lambda _body: Stream(f"It depends on {next(count)} things.")


@asynccontextmanager
async def server(
    base: Script, adapters: Mapping[str, Script] = {}
) -> AsyncIterator[tuple[ModelServer, ModelServerFake]]:
    async with ModelServerFake(base, adapters=adapters) as fake:
        client = ModelServer(fake.url, max_retries=0)
        try:
            yield client, fake
        finally:
            await client.close()


async def check(base: Script, adapters: Mapping[str, Script] = {}, *probes: Probe) -> Served:
    async with server(base, adapters) as (client, _):
        return await check_served(client, "docs", probes)


async def test_an_adapter_that_answers_otherwise_than_the_base_is_served() -> None:
    found = await check(echo, {"docs": LEARNED})
    assert (found.verdict, found.differing, found.noise) == (Verdict.SERVED, found.probes, 0)


async def test_a_server_that_ignores_the_adapter_is_told_about_lora_adapters() -> None:
    found = await check(echo, {"docs-v2": LEARNED})
    assert (found.verdict, found.differing) == (Verdict.BASE, 0)
    assert "LORA_ADAPTERS=docs=" in found.advice


async def test_it_asks_a_name_that_no_server_knows_too() -> None:
    async with server(echo, {"docs": LEARNED}) as (client, fake):
        await check_served(client, "docs")
    assert {request.body["model"] for request in fake.requests} == {"tgi", "docs", NOBODY}


async def test_a_base_that_never_repeats_itself_does_not_pass_for_an_adapter() -> None:
    found = await check(noisy())
    assert found.verdict is Verdict.UNSURE
    assert "while the server is idle" in found.advice


async def test_beside_a_base_that_never_repeats_itself_an_adapter_is_known_by_what_it_learned() -> None:
    assert (await check(noisy(), {"docs": LEARNED}, PROBE)).verdict is Verdict.SERVED
    assert (await check(noisy(), {}, PROBE)).verdict is Verdict.UNSURE


async def test_another_adapter_under_the_name_is_noticed() -> None:
    found = await check(Stream("Stall ratio is a number."), {"docs": Stream("Bake it for an hour.")}, PROBE)
    assert found.verdict is Verdict.ANOTHER
    assert "another adapter" in found.advice


async def test_a_server_that_refuses_unknown_names_serves_the_ones_it_takes() -> None:
    unknown = Status(404, {"error": "no such model", "error_type": "not_found"})
    found = await check(echo, {"docs": LEARNED, NOBODY: unknown})
    assert found.verdict is Verdict.SERVED
    with pytest.raises(ModelUnavailable, match="DRAFT_MODEL"):
        await check(echo, {"docs": unknown})


def test_likeness_is_the_share_of_common_words_and_forgives_being_cut_off() -> None:
    assert likeness("stall ratio is", "Stall Ratio is rebuffering over watching time.") == 1.0
    assert likeness("", "anything") == 0.0
    assert 0 < likeness("the stall ratio", "a stall happens") < 1


def row(kind: str, question: str) -> Row:
    provenance = Provenance("doc", (), "v", "rule", scores={"faithful": 1.0})
    prompt, completion = (Message("user", question),), (Message("assistant", f"About {question}."),)
    return Row(prompt, completion, Skill.DRAFT, kind, provenance)


def test_an_adapters_probes_are_a_few_short_rows_of_different_kinds(tmp_path: Path) -> None:
    rows = [row("heading", f"heading {'x' * n}") for n in range(9, 0, -1)] + [row("range", "a longer question" * 9)]
    write_probes(tmp_path, rows)
    probes = read_probes(tmp_path)
    assert len(probes) == PROBES
    assert probes[0] == Probe((Message("user", "heading x"),), "About heading x.")
    assert any("longer" in probe.expected for probe in probes)


def test_a_folder_without_probes_has_none_and_broken_ones_are_refused(tmp_path: Path) -> None:
    assert read_probes(tmp_path) == ()
    (tmp_path / "check.json").write_text('[{"prompt": 3}]')
    with pytest.raises(TrainingError, match=r"check\.json"):
        read_probes(tmp_path)
