"""What is compared with an embedder's similarities, in that embedder's own scale."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pipeline.errors import IndexUnavailable
from pipeline.retrieval.weights import Weights

FILE = "thresholds.json"
"""In a fine-tuned embedder's folder."""

_WEIGHTS = Weights()


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Cosine similarities, -1 to 1. The defaults are all-MiniLM-L6-v2's."""

    min_similarity: float = 0.25
    """Abstain when no passage is at least this similar to the question, or to a draft that is believed; see PROMPTAI_MIN_SIMILARITY."""
    distrust: float = _WEIGHTS.distrust
    """See `Weights.distrust`."""
    trust: float = _WEIGHTS.trust
    """See `Weights.trust`."""

    def applied(self, weights: Weights) -> Weights:
        """The weights with their gate in this embedder's scale."""
        return replace(weights, distrust=self.distrust, trust=self.trust)


def read_thresholds(folder: Path) -> Thresholds:
    """Those that the embedder's folder brings, or the defaults. Raises `IndexUnavailable` for a file that says something else."""
    file = folder / FILE
    if not file.is_file():
        return Thresholds()
    try:
        found = Thresholds(**{key: float(value) for key, value in json.loads(file.read_text()).items()})
    except (OSError, ValueError, TypeError, AttributeError) as exc:
        raise IndexUnavailable(f"{file} cannot be read ({exc}). Copy the embedder's folder anew.") from exc
    if not -1 <= found.distrust <= found.trust <= 2:
        raise IndexUnavailable(f"{file}: distrust must not be above trust. Copy the embedder's folder anew.")
    return found


def write_thresholds(folder: Path, thresholds: Thresholds) -> None:
    """Write `thresholds.json`."""
    (folder / FILE).write_text(json.dumps(asdict(thresholds), indent=1) + "\n")
