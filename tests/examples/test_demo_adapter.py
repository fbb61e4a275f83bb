"""The adapters in examples/streaming-qoe are ones that can be served, and were trained on the documents beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import prompts
from pipeline.evaluation.corpus import read_passages
from pipeline.retrieval import SentenceTransformerEmbedder
from pipeline.training import calibration
from pipeline.training.adapter import read_adapter
from pipeline.training.serving import read_probes
from pipeline.training.synthesis.pages import corpus_of

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "streaming-qoe"
DRAFTER, ANSWERER = EXAMPLE / "adapter", EXAMPLE / "answerer"
MOST_BYTES = 12 * 1024 * 1024
MOST_RANK = 16
BOTH = pytest.mark.parametrize("adapter", [DRAFTER, ANSWERER], ids=["drafter", "answerer"])


@BOTH
async def test_it_was_trained_on_the_documents_as_they_are(adapter: Path) -> None:
    """Its manifest holds the hash of the documents: whoever changes one trains it anew (`make demo-adapter demo-answerer`)."""
    corpus = corpus_of(await read_passages(EXAMPLE / "docs", SentenceTransformerEmbedder()))
    assert json.loads((adapter / "manifest.json").read_text(encoding="utf-8"))["corpus"] == corpus.hash


@BOTH
def test_it_is_small_and_of_a_form_that_servers_load(adapter: Path) -> None:
    """Its weights are one file of at most 12 MB and rank 16, which `read_adapter` finds without fault."""
    assert read_adapter(adapter).rank <= MOST_RANK
    assert (adapter / "adapter_model.safetensors").stat().st_size <= MOST_BYTES


@BOTH
def test_it_can_be_recognised(adapter: Path) -> None:
    """Beside it lie prompts to recognise it by."""
    assert read_probes(adapter)


def test_the_answerer_was_trained_with_the_prompt_that_is_served() -> None:
    """Changed instructions are ones that it has never seen."""
    assert {probe.prompt[0].content for probe in read_probes(ANSWERER)} == {prompts.SMALL_MODEL_ANSWER}


def test_the_drafters_drafts_can_be_weighed() -> None:
    """Beside it lies how often its drafts proved right, by their titles and by their lines."""
    calibrated = calibration.read(DRAFTER)
    assert calibrated is not None
    for points in (calibrated.title, calibrated.line):
        assert points[0][1] < points[-1][1]
