"""What an embedder's training was and gave: `manifest.json` in its folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.retrieval.models import content_hash
from pipeline.training.embedder_recipe import Work
from pipeline.training.rows import corpus_hash, file_hash

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Trained:
    """What came out; `manifest.json` holds the same."""

    pairs: int
    held_out: int
    hard_negatives: int
    """Pairs for which one was found."""
    truncated: int
    """Passages longer than the recipe's `max_tokens`."""
    steps: int
    mix: float
    """Share of the trained weights in the result."""
    before: Mapping[str, float]
    """The base's figures on the held-out pairs."""
    after: Mapping[str, float]
    tried: Mapping[str, float]
    """Mix -> its MRR on the held-out pairs."""
    thresholds: Mapping[str, float]


def identity_of(work: Work, base: Path) -> dict[str, str]:
    """What a checkpoint belongs to."""
    recipe = hashlib.sha256(json.dumps(asdict(work.recipe), sort_keys=True).encode()).hexdigest()
    return {"pairs": file_hash(work.pairs), "recipe": recipe, "base": content_hash(base)}


def write_manifest(folder: Path, work: Work, identity: Mapping[str, str], trained: Trained) -> None:
    """Into `folder`."""
    (folder / MANIFEST).write_text(json.dumps(_manifest(work, identity, trained), indent=1) + "\n")


def _manifest(work: Work, identity: Mapping[str, str], trained: Trained) -> dict[str, Any]:
    packages = ("sentence-transformers", "transformers", "torch", "datasets", "accelerate")
    return {
        "what": "embedder",
        "name": work.out.name,
        "base": work.recipe.base,
        "base_hash": identity["base"],
        "data_hash": identity["pairs"],
        "corpus_hash": corpus_hash(work.pairs.parent),
        "recipe": asdict(work.recipe),
        "result": asdict(trained),
        "versions": {name: version(name) for name in packages},
        "date": datetime.now(UTC).date().isoformat(),
    }
