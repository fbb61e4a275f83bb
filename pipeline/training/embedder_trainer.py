"""sentence-transformers' own trainer, set up for pairs: loss, batches, checkpoints, early stop.

Multiple negatives ranking (Henderson et al. 2017, arXiv:1705.00652; InfoNCE): each question's passage is to be nearer than
all other passages of the batch, the mined hard ones among them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import TrainingError
from pipeline.training.batches import Example, batch_count, batches
from pipeline.training.embedder_recipe import EmbedderRecipe

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Progress = Callable[[int, int, str], None]
"""Steps done, steps in all, and what is being done."""

Judge = Callable[["SentenceTransformer"], Mapping[str, float]]
"""A model's figures on the held-out pairs, `mrr` among them: higher is better."""

IDENTITY = "run.json"
"""In the folder of checkpoints: what they belong to."""


@dataclass(frozen=True, slots=True)
class Triple:
    """A training example."""

    question: str
    passage: str
    negative: str
    """Empty where none was mined; then for none of a training's examples."""


def fit(
    model: SentenceTransformer,
    triples: Sequence[Triple],
    judge: Judge,
    recipe: EmbedderRecipe,
    folder: Path,
    progress: Progress,
) -> list[dict[str, float]]:
    """Train `model` in place and leave the best evaluated weights in it. Returns the trainer's log.

    `folder`: for checkpoints; where it holds whole ones, training goes on from the last. Raises `TrainingError`.
    """
    from datasets import Dataset  # noqa: PLC0415  # seconds; only training needs it
    from sentence_transformers import SentenceTransformerTrainingArguments  # noqa: PLC0415
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss  # noqa: PLC0415
    from transformers import EarlyStoppingCallback  # noqa: PLC0415

    examples = [_example(triple) for triple in triples]
    every = max(1, batch_count(examples, recipe.batch) // recipe.evaluations)
    steps = every * recipe.evaluations * recipe.epochs
    columns = {"question": [t.question for t in triples], "passage": [t.passage for t in triples]}
    if any(triple.negative for triple in triples):
        columns["negative"] = [t.negative for t in triples]
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder), max_steps=steps, per_device_train_batch_size=recipe.batch,
        learning_rate=recipe.learning_rate, warmup_ratio=recipe.warmup, seed=recipe.seed, bf16=has_bf16(recipe),
        eval_strategy="steps", eval_steps=every, save_strategy="steps", save_steps=every, save_total_limit=2,
        load_best_model_at_end=True, metric_for_best_model="eval_mrr", greater_is_better=True,
        logging_steps=max(1, min(10, every)), disable_tqdm=True, report_to="none", dataloader_pin_memory=False,
        use_cpu=model.device.type == "cpu",
    )  # fmt: skip
    trainer = _trainer(examples)(
        model=model, args=arguments, train_dataset=Dataset.from_dict(columns), evaluator=_evaluator(judge),
        loss=MultipleNegativesRankingLoss(model, scale=recipe.scale),
        callbacks=[EarlyStoppingCallback(recipe.patience), _reporter(progress)],
    )  # fmt: skip
    last = _last_checkpoint(folder)
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    return list(trainer.state.log_history)


def prepare(folder: Path, identity: Mapping[str, str]) -> None:
    """The folder of checkpoints of a training with this identity. Raises `TrainingError` if it is another one's."""
    file = folder / IDENTITY
    if file.is_file():
        if json.loads(file.read_text()) != dict(identity):
            raise TrainingError(
                f"{folder} holds checkpoints of another training (other pairs, recipe or base). Remove it, or choose"
                " another --out."
            )
        return
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    file.write_text(json.dumps(dict(identity), indent=1))


def _example(triple: Triple) -> Example:
    texts = {triple.question, triple.passage, *([triple.negative] if triple.negative else [])}
    return Example(texts, max(map(len, texts)))


def _last_checkpoint(folder: Path) -> Path | None:
    """The last one that is whole: the trainer writes its state's file last, so one without it was cut off."""
    whole = []
    for found in folder.glob("checkpoint-*"):
        try:
            state = json.loads((found / "trainer_state.json").read_text())
            whole.append((int(state["global_step"]), found))
        except (OSError, ValueError, KeyError):
            shutil.rmtree(found, ignore_errors=True)
    return max(whole)[1] if whole else None


def has_bf16(recipe: EmbedderRecipe) -> bool:
    """Only where it is in hardware: emulated, it is slower than single precision."""
    import torch  # noqa: PLC0415

    if torch.cuda.is_available():
        return recipe.bf16 and torch.cuda.is_bf16_supported()
    return recipe.bf16 and bool(torch.cpu._is_avx512_bf16_supported())


def _trainer(examples: Sequence[Example]) -> Any:
    """The library's trainer with our batches and without what it prints and writes besides."""
    from sentence_transformers import SentenceTransformerTrainer  # noqa: PLC0415
    from sentence_transformers.base.sampler import DefaultBatchSampler  # noqa: PLC0415
    from transformers import PrinterCallback  # noqa: PLC0415

    class Sampler(DefaultBatchSampler):
        epoch = 0  # the trainer sets it before each pass

        def __iter__(self) -> Iterator[list[int]]:
            return batches(examples, self.batch_size, 1000 * self.seed + self.epoch)

        def __len__(self) -> int:
            return batch_count(examples, self.batch_size)

    class Trainer(SentenceTransformerTrainer):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.remove_callback(PrinterCallback)  # type: ignore[no-untyped-call]

        def get_batch_sampler(self, dataset: Any, batch_size: int, *_: Any, **__: Any) -> Any:
            return Sampler(dataset, batch_size, drop_last=False, seed=self.args.seed)

        def add_model_card_callback(self, *_: Any, **__: Any) -> None:
            """None: the manifest says what was trained, and the card's examples take seconds."""

    return Trainer


def _evaluator(judge: Judge) -> Any:
    from sentence_transformers.base.evaluation import BaseEvaluator  # noqa: PLC0415

    class Evaluator(BaseEvaluator):
        def __call__(self, model: Any, output_path: Any = None, epoch: int = -1, steps: int = -1) -> dict[str, float]:  # noqa: ARG002
            return dict(judge(model))

    return Evaluator()  # type: ignore[no-untyped-call]


def _reporter(progress: Progress) -> Any:
    from transformers import TrainerCallback  # noqa: PLC0415

    class Reporter(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ARG002
            figures = {"loss": "loss {:.3f}", "eval_mrr": "held-out MRR {:.3f}"}
            said = [text.format(logs[name]) for name, text in figures.items() if name in (logs or {})]
            progress(state.global_step, state.max_steps, ", ".join(said) or "training")

    return Reporter()
