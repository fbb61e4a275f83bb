"""What is particular to tantivy: files, locks, damage."""

from __future__ import annotations

from pathlib import Path

import pytest
import tantivy

from pipeline.errors import IndexUnavailable
from pipeline.retrieval import TantivyKeywords
from pipeline.retrieval.analysis import MAX_TERMS, analyze, weighted_terms
from tests.pipeline.retrieval.support import make_passage

PASSAGE = make_passage("Invoices are sent monthly.")


def index_folder(root: Path) -> Path:
    [meta] = root.rglob("meta.json")
    return meta.parent


async def test_what_is_written_is_there_after_a_restart(tmp_path: Path) -> None:
    first = TantivyKeywords(tmp_path)
    await first.upsert("acme", [PASSAGE])
    await first.close()
    assert await TantivyKeywords(tmp_path).count("acme") == 1


async def test_reading_creates_no_files(tmp_path: Path) -> None:
    index = TantivyKeywords(tmp_path / "keywords")
    assert await index.query(["acme"], [("invoices", 1)], 5) == []
    assert not (tmp_path / "keywords").exists()


async def test_a_tenants_name_never_leaves_the_folder(tmp_path: Path) -> None:
    index = TantivyKeywords(tmp_path / "keywords")
    await index.upsert("../../escape", [make_passage("x", tenant="../../escape")])
    assert [path.name for path in tmp_path.iterdir()] == ["keywords"]
    assert index_folder(tmp_path).is_relative_to(tmp_path / "keywords")


async def test_a_damaged_index_is_an_error_that_says_how_to_start_again(tmp_path: Path) -> None:
    index = TantivyKeywords(tmp_path)
    await index.upsert("acme", [PASSAGE])
    await index.close()
    (index_folder(tmp_path) / "meta.json").write_text("garbage")
    damaged = TantivyKeywords(tmp_path)
    for attempt in (damaged.check(), damaged.query(["acme"], [("invoices", 1)], 5), damaged.upsert("acme", [PASSAGE])):
        with pytest.raises(IndexUnavailable, match="delete the folder and run `promptai sync`"):
            await attempt


async def test_an_index_that_another_process_writes_is_an_error_that_says_so(tmp_path: Path) -> None:
    index = TantivyKeywords(tmp_path)
    await index.upsert("acme", [PASSAGE])
    writer = tantivy.Index.open(str(index_folder(tmp_path))).writer(15_000_000, 1)
    with pytest.raises(IndexUnavailable, match="PROMPTAI_DATA_DIR"):
        await index.upsert("acme", [PASSAGE])
    writer.wait_merging_threads()
    await index.upsert("acme", [PASSAGE])
    assert await index.count("acme") == 1


async def test_a_folder_that_cannot_be_made_is_named_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(IndexUnavailable, match="file"):
        await TantivyKeywords(tmp_path / "file").check()


def test_identifiers_are_found_by_their_parts() -> None:
    assert analyze("Running map_batches in RayTune's v2.3") == ["run", "map", "batch", "in", "raytun", "s", "v2", "3"]


def test_a_terms_weight_grows_with_each_text_that_holds_it() -> None:
    assert weighted_terms([("alert alert rule", 3), ("rules", 1)]) == {"alert": 6.0, "rule": 4.0}


def test_of_too_many_terms_the_heaviest_are_kept() -> None:
    text = " ".join(f"w{i}" for i in range(2000))
    terms = weighted_terms([(text, 1), ("rare", 2)])
    assert len(terms) == MAX_TERMS
    assert "rare" in terms
