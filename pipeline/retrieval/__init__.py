"""Finding passages: embedder, Chroma, keyword index and their fusion."""

from pipeline.retrieval.chroma import ChromaVectors
from pipeline.retrieval.embedder import SentenceTransformerEmbedder
from pipeline.retrieval.hashing import HashingEmbedder
from pipeline.retrieval.keywords import TantivyKeywords
from pipeline.retrieval.memory import MemoryKeywords, MemoryVectors, MemoryVisibility
from pipeline.retrieval.retriever import Retriever
from pipeline.retrieval.weights import Weights

__all__ = [
    "ChromaVectors",
    "HashingEmbedder",
    "MemoryKeywords",
    "MemoryVectors",
    "MemoryVisibility",
    "Retriever",
    "SentenceTransformerEmbedder",
    "TantivyKeywords",
    "Weights",
]
