"""The adapter in examples/streaming-qoe is one that can be served, and was trained on the documents beside it."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline.evaluation.corpus import read_passages
from pipeline.retrieval import SentenceTransformerEmbedder
from pipeline.training import calibration
from pipeline.training.adapter import read_adapter
from pipeline.training.serving import read_probes
from pipeline.training.synthesis.pages import corpus_of

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "streaming-qoe"
ADAPTER = EXAMPLE / "adapter"
MOST_BYTES = 12 * 1024 * 1024
MOST_RANK = 16


async def test_it_was_trained_on_the_documents_as_they_are() -> None:
    """Its manifest holds the hash of the documents: whoever changes one runs `make demo-adapter` again."""
    corpus = corpus_of(await read_passages(EXAMPLE / "docs", SentenceTransformerEmbedder()))
    assert json.loads((ADAPTER / "manifest.json").read_text(encoding="utf-8"))["corpus"] == corpus.hash


def test_it_is_small_and_of_a_form_that_servers_load() -> None:
    """Its weights are one file of at most 12 MB and rank 16, which `read_adapter` finds without fault."""
    assert read_adapter(ADAPTER).rank <= MOST_RANK
    assert (ADAPTER / "adapter_model.safetensors").stat().st_size <= MOST_BYTES


def test_it_can_be_recognised_and_its_drafts_weighed() -> None:
    """Beside it lie prompts to recognise it by, and how often its drafts proved right, by their titles and by their lines."""
    assert read_probes(ADAPTER)
    calibrated = calibration.read(ADAPTER)
    assert calibrated is not None
    for points in (calibrated.title, calibrated.line):
        assert points[0][1] < points[-1][1]
