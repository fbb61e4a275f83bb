"""What a training on ratings would take. Rows and adapter are read and checked; nothing is loaded or built."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.training.base import describe
from pipeline.training.dry_run import Forecast, counted_tokens, dimensions_of, local, speed_of
from pipeline.training.memory import need, parameters
from pipeline.training.preferences.batches import FixedBatches
from pipeline.training.preferences.parent import check_parent
from pipeline.training.preferences.rows import kept_labels, read_preferences, weights
from pipeline.training.preferences.run import Job


@dataclass(frozen=True, slots=True)
class RatingsForecast:
    """What a training on ratings would take."""

    training: Forecast
    good: int
    bad: int
    weights: tuple[float, float]
    """Of good and bad answers in the loss."""


def dry_run(job: Job) -> RatingsForecast:
    """Raises `TrainingError` for whatever would stop the training before its first step, but for the base's weights."""
    data = read_preferences(job.data, job.recipe)
    folder = local(job.recipe, job.cache)
    shape = dimensions_of(job.recipe, folder)
    recipe = job.recipe
    if job.adapter is not None:
        base = describe(folder, recipe.base) if folder else None
        recipe = recipe.model_copy(update=check_parent(job.adapter, base, shape).shape)
    encoded = counted_tokens([rated.row for rated in data.rows], folder, recipe.max_tokens)
    good = kept_labels(data, encoded.rows, recipe)
    lengths = [len(example.ids) for example in encoded.examples]
    batches = FixedBatches(lengths, good, recipe.batch, seed=recipe.seed)
    steps = -(-len(batches) // recipe.accumulation) * recipe.epochs
    shorter = min(1.0, recipe.max_steps / steps) if recipe.max_steps else 1.0
    tokens = round(encoded.tokens * recipe.epochs * shorter)
    mismatched = recipe.loss == "kto"
    plain = recipe.as_plain()
    training = Forecast(
        plain, parameters(shape, plain), need(shape, plain), encoded.fits, folder is None, round(steps * shorter), tokens,
        batches.padding, speed_of(plain, shape, encoded.tokens // len(lengths)),
        asked=encoded.tokens * (2 if mismatched else 1) + (tokens if mismatched else 0),
    )  # fmt: skip
    bad = len(good) - sum(good)
    return RatingsForecast(
        training, sum(good), bad, weights(sum(good), bad, recipe.desirable_weight, recipe.undesirable_weight)
    )
