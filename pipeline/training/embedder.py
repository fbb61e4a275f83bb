"""Fine-tuning the embedder: pairs -> split -> hard negatives -> training -> a mix with the base's weights -> a folder.

The folder is a sentence-transformers model like any other, with three files beside it: `manifest.json` (what it was made
from and how), `thresholds.json` (its scale of similarities, see `similarities.py`) and `loss.svg`.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import IndexUnavailable, TrainingError
from pipeline.retrieval.models import find, load
from pipeline.retrieval.thresholds import read_thresholds, write_thresholds
from pipeline.training import similarities
from pipeline.training.curves import loss_curve
from pipeline.training.embedder_manifest import Trained, identity_of, write_manifest
from pipeline.training.embedder_quality import HeldOut, encode, held_out, judge
from pipeline.training.embedder_recipe import EmbedderRecipe, Work
from pipeline.training.embedder_trainer import Progress, Triple, fit, has_bf16, prepare
from pipeline.training.negatives import mine
from pipeline.training.pairs import Pair, Split, passages_of, read_pairs, split_by_document

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["EmbedderRecipe", "Trained", "Work", "finetune"]


def finetune(work: Work, progress: Progress) -> Trained:
    """Train an embedder into `work.out`. Killed, the same call goes on from the last checkpoint.

    Raises `TrainingError` before anything slow where the input is wrong, and where the disk is full: what was there stays.
    """
    if work.out.exists():
        raise TrainingError(f"{work.out} exists already. Remove it, or choose another --out.")
    split = split_by_document(read_pairs(work.pairs), work.recipe.held_out, work.recipe.seed)
    try:
        folder = find(work.recipe.base, setting="base")
        model = load(work.recipe.base, folder)
    except IndexUnavailable as exc:
        raise TrainingError(f"The recipe's base cannot be loaded. {exc}") from exc
    checkpoints = checkpoints_of(work.out)
    identity = identity_of(work, folder)
    try:
        prepare(checkpoints, identity)
        trained = _train(work, split, folder, model, checkpoints, identity, progress)
    except OSError as exc:
        raise TrainingError(
            f"{work.out} cannot be written ({exc.strerror or exc}). Make room and run the same command again: it goes on"
            " from the last checkpoint."
        ) from exc
    shutil.rmtree(checkpoints, ignore_errors=True)
    return trained


def checkpoints_of(out: Path) -> Path:
    """Where a training into `out` keeps its checkpoints: beside it, since all that lies in an embedder's folder names it."""
    return out.with_name(out.name + ".checkpoints")


def _train(
    work: Work,
    split: Split,
    base: Path,
    model: SentenceTransformer,
    checkpoints: Path,
    identity: Mapping[str, str],
    progress: Progress,
) -> Trained:
    recipe = work.recipe
    window = model.max_seq_length
    model.max_seq_length = min(recipe.max_tokens, window or recipe.max_tokens)
    among = held_out(split.held_out, split.train, recipe.seed)
    progress(0, 0, "Reading the pairs with the base model …")
    before = judge(model, among)
    stock = _sample(model, split.held_out, recipe.seed)
    triples = _triples(model, split.train, recipe)
    original = {name: weight.detach().clone() for name, weight in model.state_dict().items()}
    log = fit(model, triples, partial(judge, among=among), recipe, checkpoints, progress)
    progress(0, 0, "Mixing with the base's weights …")
    mix, tried, after = _mixed(model, original, among, recipe.mixes)
    model.max_seq_length = window
    thresholds = similarities.mapped(read_thresholds(base), stock, _sample(model, split.held_out, recipe.seed))
    result = Trained(
        pairs=len(split.train),
        held_out=len(split.held_out),
        hard_negatives=sum(1 for triple in triples if triple.negative),
        truncated=_truncated(model, split.train, recipe.max_tokens),
        steps=max((int(entry["step"]) for entry in log), default=0),
        mix=mix,
        before=before,
        after=after,
        tried=tried,
        thresholds=asdict(thresholds),
    )
    unfinished = work.out.with_name(work.out.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    model.save_pretrained(str(unfinished), create_model_card=False)
    write_thresholds(unfinished, thresholds)
    write_manifest(unfinished, work, identity, result)
    (unfinished / "loss.svg").write_text(_plot(log, result))
    unfinished.replace(work.out)
    return result


def _triples(model: SentenceTransformer, pairs: Sequence[Pair], recipe: EmbedderRecipe) -> list[Triple]:
    """With a hard negative each, and the pairs for which there is none left out; or none at all where most have none."""
    pool = passages_of(pairs)
    plain = [Triple(pair.question, pair.passage, "") for pair in pairs]
    if not recipe.hard_negatives:
        return plain
    bf16 = has_bf16(recipe)
    questions = encode(model, [pair.question for pair in pairs], bf16=bf16)
    passages = encode(model, [pair.passage for pair in pool.values()], bf16=bf16)
    mined = mine(pairs, questions, passages, margin=recipe.margin)
    hard = [
        Triple(pair.question, pair.passage, pool[negative].passage)
        for pair, negative in zip(pairs, mined, strict=True)
        if negative is not None
    ]
    return hard if 2 * len(hard) > len(pairs) else plain


def _mixed(
    model: SentenceTransformer, original: Mapping[str, Any], among: HeldOut, mixes: Sequence[float]
) -> tuple[float, dict[str, float], Mapping[str, float]]:
    """Leave in `model` the mix of base and trained weights that finds the held-out passages best.

    Between the two often lies a model better than both, and nearer to the base's generality (WiSE-FT, Wortsman et al. 2022,
    arXiv:2109.01903; for embedders LM-Cocktail, Xiao et al. 2023, arXiv:2311.13534).
    """
    trained = {name: weight.detach().clone() for name, weight in model.state_dict().items()}
    found: dict[float, Mapping[str, float]] = {}
    for mix in mixes:
        model.load_state_dict(_between(original, trained, mix))
        found[mix] = judge(model, among)
    best = max(sorted(found), key=lambda mix: found[mix]["mrr"])  # of equals the one nearest to the base
    model.load_state_dict(_between(original, trained, best))
    return best, {f"{mix:g}": figures["mrr"] for mix, figures in found.items()}, found[best]


def _between(original: Mapping[str, Any], trained: Mapping[str, Any], mix: float) -> dict[str, Any]:
    return {
        name: original[name] + mix * (weight - original[name]) if weight.is_floating_point() else weight
        for name, weight in trained.items()
    }


def _sample(model: SentenceTransformer, pairs: Sequence[Pair], seed: int) -> similarities.Floats:
    some = pairs[:: max(1, len(pairs) // 300)]
    rows = encode(model, [pair.question for pair in some]), encode(model, [pair.passage for pair in some])
    return similarities.sample(*rows, seed)


def _truncated(model: SentenceTransformer, pairs: Sequence[Pair], most: int) -> int:
    tokenizer = model.tokenizer
    texts = [pair.passage for pair in passages_of(pairs).values()]
    return sum(1 for ids in tokenizer(texts, truncation=False, verbose=False)["input_ids"] if len(ids) > most)


def _plot(log: Sequence[Mapping[str, Any]], result: Trained) -> str:
    losses = [(int(entry["step"]), float(entry["loss"])) for entry in log if "loss" in entry]
    title = f"Embedder: held-out MRR {result.before['mrr']:.3f} before, {result.after['mrr']:.3f} after"
    return loss_curve(losses or [(0, 0.0)], [], title=title, unit="loss a question (nats)")
