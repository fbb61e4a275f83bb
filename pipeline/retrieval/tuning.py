"""What a retriever is built with besides its indexes: the same in service, in evaluation and in comparisons."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.retrieval.protocols import Embedder, KeywordIndex, VectorIndex, Visibility
from pipeline.retrieval.reranking import Reranking
from pipeline.retrieval.retriever import Retriever
from pipeline.retrieval.thresholds import Thresholds
from pipeline.retrieval.weights import Weights
from pipeline.types import Filters


@dataclass(frozen=True, slots=True)
class Tuning:
    """By default: all-MiniLM-L6-v2's scale, everything may be found, nothing is ordered anew."""

    thresholds: Thresholds = field(default_factory=Thresholds)
    """The embedder's."""
    filters: Filters = field(default_factory=Filters)
    """Where a question brings none of its own."""
    reranking: Reranking | None = None

    def retriever(
        self,
        embedder: Embedder,
        vectors: VectorIndex,
        keywords: KeywordIndex,
        visibility: Visibility,
        weights: Weights | None = None,
        *,
        reranked: bool = True,
    ) -> Retriever:
        """`weights`: by default the product's. `reranked`: False leaves the fused order as it is."""
        return Retriever(
            embedder,
            vectors,
            keywords,
            visibility,
            self.thresholds.applied(weights or Weights()),
            filters=self.filters,
            reranking=self.reranking if reranked else None,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Equal where the same is found in the same order, for one embedder; empty where nothing is set."""
        filters = (str(self.filters),) if self.filters != Filters() else ()
        return (*filters, f"{self.reranking.name} {self.reranking.depth}") if self.reranking else filters
