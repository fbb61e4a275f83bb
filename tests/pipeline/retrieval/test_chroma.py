"""What is particular to Chroma: its names, its embedders, its failures."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import chromadb
import numpy as np
import pytest

from pipeline.errors import IndexUnavailable
from pipeline.retrieval import ChromaVectors
from pipeline.retrieval.naming import tenant_key
from tests.pipeline.retrieval.support import chroma_server, free_port

ROW = np.array([[1.0, 0.0]], dtype=np.float32)


@pytest.mark.parametrize("tenant", ["acme", "ACME", "../../etc/passwd", "a b", "Ä" * 300, "-", "\ud800", "T0123|x"])
def test_any_tenant_makes_a_name_that_chroma_and_file_systems_allow(tenant: str) -> None:
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", tenant_key(tenant))
    assert len(tenant_key(tenant)) <= 60


def test_different_tenants_have_different_names() -> None:
    tenants = ["acme", "ACME", "acme-", "acme/", "ac me", "a" * 50, "a" * 51]
    assert len({tenant_key(tenant) for tenant in tenants}) == len(tenants)


def test_a_tenant_without_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="name"):
        tenant_key("")


async def test_what_is_written_is_there_after_a_restart(tmp_path: Path) -> None:
    first = ChromaVectors(tmp_path, "model-a")
    await first.upsert("acme", ["p"], ROW)
    await first.close()
    second = ChromaVectors(tmp_path, "model-a")
    assert await second.count("acme") == 1
    await second.close()


async def test_vectors_of_another_embedder_are_not_seen_and_can_be_pruned(tmp_path: Path) -> None:
    old, new = ChromaVectors(tmp_path, "model-a"), ChromaVectors(tmp_path, "model-b")
    await old.upsert("acme", ["p"], ROW)
    await old.upsert("umbrella", ["u"], ROW)
    await new.upsert("acme", ["p"], np.array([[0.0, 1.0, 0.0]], dtype=np.float32))
    assert await new.count("umbrella") == 0
    await new.prune("acme")
    assert (await old.count("acme"), await new.count("acme"), await old.count("umbrella")) == (0, 1, 1)
    await new.drop("umbrella")
    assert await old.count("umbrella") == 0
    await old.close()
    await new.close()


async def test_an_index_built_beside_is_kept_from_pruning_and_loses_what_is_deleted(tmp_path: Path) -> None:
    serving = ChromaVectors(tmp_path, "model-a")
    beside = serving.beside("model-b")
    for index in (serving, beside):
        await index.upsert("acme", ["p", "q"], np.concatenate([ROW, -ROW]))
    await serving.prune("acme", ["model-b"])
    await serving.delete("acme", ["p"])
    assert (await serving.count("acme"), await beside.count("acme")) == (1, 1)
    await serving.prune("acme")
    assert (await serving.count("acme"), await beside.count("acme")) == (1, 0)
    await beside.close()
    assert await serving.count("acme") == 1
    await serving.close()


async def test_collections_of_other_programs_are_left_alone(tmp_path: Path) -> None:
    ours = ChromaVectors(tmp_path, "model-a")
    await ours.upsert("acme", ["p"], ROW)
    theirs = chromadb.PersistentClient(tmp_path, settings=chromadb.Settings(anonymized_telemetry=False))
    theirs.create_collection("somebody-elses", embedding_function=None)
    await ours.drop("acme")
    assert [collection.name for collection in theirs.list_collections()] == ["somebody-elses"]
    await ours.close()


async def test_a_folder_that_cannot_be_used_is_named_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    index = ChromaVectors(tmp_path / "file", "model-a")
    with pytest.raises(IndexUnavailable, match=re.escape(str(tmp_path / "file"))):
        await index.check()
    await index.close()


async def test_a_damaged_folder_is_an_error_that_says_how_to_start_again(tmp_path: Path) -> None:
    (tmp_path / "chroma.sqlite3").write_bytes(b"not a database at all" * 100)
    index = ChromaVectors(tmp_path, "model-a")
    with pytest.raises(IndexUnavailable, match="promptai sync"):
        await index.query(["acme"], ROW, 1)
    await index.close()


async def test_a_server_that_is_down_is_an_error_that_names_the_setting_and_no_password() -> None:
    index = ChromaVectors(f"http://user:secret@127.0.0.1:{free_port()}", "model-a")
    with pytest.raises(IndexUnavailable, match="CHROMA_URL") as caught:
        await index.check()
    assert "secret" not in str(caught.value)
    await index.close()


async def test_a_server_that_dies_is_an_error_and_one_that_comes_back_is_used_again(tmp_path: Path) -> None:
    with chroma_server(tmp_path) as url:
        index = ChromaVectors(url, "model-a")
        await index.upsert("acme", ["p"], ROW)
    with pytest.raises(IndexUnavailable, match="CHROMA_URL"):
        await index.query(["acme"], ROW, 1)
    port = int(url.rpartition(":")[2])
    with chroma_server(tmp_path, port=port):
        assert await index.count("acme") == 1
        await index.close()


async def test_a_server_that_never_answers_is_an_error_within_the_time_limit() -> None:
    async def accept_and_wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(accept_and_wait, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    index = ChromaVectors(f"http://127.0.0.1:{port}", "model-a", timeout=0.2)
    with pytest.raises(IndexUnavailable, match="CHROMA_URL"):
        await index.check()
    await index.close()
    server.close()


async def test_a_collection_that_somebody_removed_is_only_empty(tmp_path: Path) -> None:
    index = ChromaVectors(tmp_path, "model-a")
    await index.upsert("acme", ["p"], ROW)
    assert await index.count("acme") == 1
    other = ChromaVectors(tmp_path, "model-a")
    await other.drop("acme")
    assert await index.query(["acme"], ROW, 5) == [[]]
    await index.upsert("acme", ["q"], ROW)
    assert await index.count("acme") == 1
    await index.close()
    await other.close()
