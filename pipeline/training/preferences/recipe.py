"""How an adapter is trained on ratings, as YAML (`manifests/training/kto/`)."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from pipeline.training.recipe import MAX_RANK, Positive, Recipe, Training
from pipeline.types import Mode

Weight = Annotated[float, Field(gt=0)]


class PreferenceRecipe(Training):
    """One way to train on answers marked good or bad. Every field is a key of the YAML file."""

    rank: Annotated[int, Field(ge=1, le=MAX_RANK)] = 16
    """As `alpha` and `modules`: of an adapter that begins at the base. One that is improved keeps its own."""
    alpha: Positive = 32
    loss: Literal["apo_zero_unpaired", "kto"] = "apo_zero_unpaired"
    """How far an answer is raised or lowered is measured from the reference itself (APO-zero: D'Oosterlinck et al., 2024,
    https://arxiv.org/abs/2408.06266), or from an estimate of the KL divergence (KTO: Ethayarajh et al., 2024,
    https://arxiv.org/abs/2402.01306), which a batch's answers to one another's questions give: a forward pass more, and
    noisy where batches are small."""
    beta: Annotated[float, Field(gt=0)] = 0.1
    """How near to the reference the model stays: higher is nearer. A reward is beta x the difference of log-probabilities."""
    desirable_weight: Weight | None = None
    """Of good answers; None: from their numbers, see `rows.weights`."""
    undesirable_weight: Weight | None = None
    """Of bad answers."""
    least_rows: Annotated[int, Field(ge=2)] = 20
    """Fewer are refused, counted after those are left out that do not fit into `max_tokens`."""
    modes: Annotated[tuple[Mode, ...], Field(min_length=1)] = (Mode.RAG, Mode.COMBINED)
    """Of the answers to learn from. Those of the mode `finetuned` have a prompt without passages, which nothing else trains."""
    written_by: str | None = None
    """Only answers in which this model took part; None: of all models. What others wrote is learned from as well: the
    losses ask how likely the model finds an answer, and not who wrote it."""
    batch: Annotated[int, Field(ge=1)] = 4
    """Rows of one forward pass, of similar length."""

    @field_validator("modes")
    @classmethod
    def _no_mode_twice(cls, value: tuple[Mode, ...]) -> tuple[Mode, ...]:
        if len(set(value)) != len(value):
            raise ValueError("names one twice")
        return value

    @model_validator(mode="after")
    def _others_in_the_batch(self) -> Self:
        if self.loss == "kto" and self.batch < 2:
            raise ValueError("loss: kto compares the answers of a batch, so batch has to be 2 or more")
        return self

    def as_plain(self) -> Recipe:
        """The recipe of a training on plain rows that loads the same base and takes as much memory."""
        shared = {name: getattr(self, name) for name in Training.model_fields}
        return Recipe(**shared, batch_tokens=self.batch * self.max_tokens)
