"""A sentence-transformers model of one layer and random weights: trains in a second, and knows nothing."""

from __future__ import annotations

import json
from pathlib import Path


def tiny_embedder(folder: Path, *, width: int = 32, seed: int = 0) -> Path:
    """Write it to `folder`. Words are its tokens: digits, and a few dozen words."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(seed)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words += [f"{kind}{number}" for kind in ("topic", "answer", "word") for number in range(80)]
    inner = folder.with_name(folder.name + "-inner")
    inner.mkdir(parents=True)
    (inner / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(inner / "vocab.txt")).save_pretrained(inner)
    config = BertConfig(
        vocab_size=len(words), hidden_size=width, num_hidden_layers=1, num_attention_heads=2, intermediate_size=width,
        max_position_embeddings=64, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    BertModel(config).save_pretrained(inner)
    module = Transformer(str(inner), max_seq_length=64)
    SentenceTransformer(modules=[module, Pooling(width)], device="cpu").save_pretrained(
        str(folder), create_model_card=False
    )
    return folder


def tiny_pairs(file: Path, count: int = 72, documents: int = 12) -> Path:
    """Pairs that can be learnt: `topicN` is answered by `answerN`, which the untrained model cannot know."""
    lines = [
        {
            "question": f"topic{number} word{number % 7}",
            "passage": f"word{number % 5} answer{number} word{number % 3}",
            "passage_id": f"p{number}",
            "document": f"d{number % documents}",
        }
        for number in range(count)
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file
