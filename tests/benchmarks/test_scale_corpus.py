"""The corpus that retrieval is measured on at scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.scale_corpus import TENANT, build
from pipeline.retrieval import HashingEmbedder, Retriever
from pipeline.types import SHARED
from tests.pipeline.retrieval.support import make_passage


async def test_real_passages_are_multiplied_and_a_tenth_is_the_tenants_own(tmp_path: Path) -> None:
    embedder = HashingEmbedder()
    real = [make_passage(text) for text in ("buffers fill up", "alerts wake people", "invoices are paid")]
    rows = await embedder.embed([passage.embedded_text for passage in real])
    world = await build(tmp_path, embedder.fingerprint, real, rows, 40)
    counts = [await index.count(tenant) for index in (world.vectors, world.keywords) for tenant in (SHARED, TENANT)]
    hits = await Retriever(embedder, world.vectors, world.keywords, world.catalog).retrieve(
        "alerts", draft=None, tenant=TENANT, k=5
    )
    stored = await world.vectors.vectors(SHARED, [f"{number:032x}" for number in (1, 4, 7)])
    await world.close()
    assert counts == [36, 4, 36, 4]
    assert len(hits) > 0
    assert all("alerts" in hit.passage.text for hit in hits[:1])
    np.testing.assert_allclose([np.linalg.norm(row) for row in stored.values()], 1, atol=1e-5)
    assert stored[f"{1:032x}"] @ stored[f"{4:032x}"] > 0.9
