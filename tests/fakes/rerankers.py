"""Rerankers for tests: one that counts words, and a real cross-encoder with random weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

WORDS = ("invoices", "are", "sent", "when", "alert", "rule", "fires", "ratio", "the", "on")


class WordsReranker:
    """The score is the share of a text's words that are the question's; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    async def scores(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        self.asked.append((question, tuple(texts)))
        wanted = set(question.lower().split())
        return [sum(word in wanted for word in text.lower().split()) / (len(text.split()) or 1) for text in texts]


def tiny_cross_encoder(folder: Path, *, labels: int = 1) -> Path:
    """`folder` with a cross-encoder of two layers, made here: nothing is downloaded."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS)))
    BertTokenizerFast(str(vocabulary), model_max_length=64).save_pretrained(folder)
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=5 + len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        num_labels=labels,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder
