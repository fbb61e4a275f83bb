"""Whether an adapter was trained on the questions that are to judge it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from bot.errors import PromotionError
from pipeline.evaluation.cases import Case
from pipeline.training.adapter import Adapter
from pipeline.training.finetune import read_data
from pipeline.training.manifest import parent_of
from pipeline.training.preferences.rows import read_all
from pipeline.training.ratings_folder import KTO
from pipeline.training.rows import Row, Skill, file_hash
from pipeline.training.synthesis.filters import LEAK
from pipeline.training.synthesis.near import HeldOut

_SHOWN = 3
"""Questions that a refusal names."""


def not_looked_at(
    name: str, folders: Sequence[Path], adapter: Adapter | None, questions: str, cases: Sequence[Case]
) -> tuple[str, ...]:  # fmt: skip
    """Refuse questions that the adapter `name`, or one that it began as, was trained on; returns notes on what is not known.

    `folders`: what they were trained on. `questions`: the file of `cases`. Raises `PromotionError` where a question is in one of them, or one is not theirs,
    and `TrainingError` for a folder or a manifest that cannot be read.
    """
    if not folders:
        return ("Whether the questions are in the adapter's training data was not looked at: no --data.",)
    lineage = _lineage(name, adapter)
    hashes = {data for _, data in lineage if data}
    held_out = HeldOut([case.question for case in cases])
    looked_at = set()
    for folder in folders:
        data, rows = _training_data(folder)
        if hashes and data not in hashes:
            known = ", ".join(f"{whose} {trained_on[:12]}…" for whose, trained_on in lineage if trained_on)
            raise PromotionError(
                f"{folder} is not what {name} was trained on: its manifest names other data ({known})."
            )
        _refuse_leaks(folder, rows, questions, held_out)
        looked_at.add(data)
    unseen = [whose for whose, data in lineage if data not in looked_at] if hashes else []
    if not unseen:
        return ()
    return (
        f"Whether the questions are in what {' and '.join(unseen)} learned from was not looked at: --data can be given for "
        "each of them.",
    )


def _lineage(name: str, adapter: Adapter | None) -> list[tuple[str, str]]:
    """Who learned from what: the adapter and those that it began as, nearest first, with their data's hashes.

    A hash is empty where that is not known.
    """
    if adapter is None:
        return [(name, "")]
    found = [(name, str(adapter.manifest.get("data", "")))]
    parent = parent_of(name, adapter.manifest)
    while parent is not None:
        unknown = "" if parent.data else " (which is not known)"
        found.append((f"its ancestor {parent.name}{unknown}", parent.data))
        parent = parent.parent
    return found


def _refuse_leaks(folder: Path, rows: Iterable[Row], questions: str, held_out: HeldOut) -> None:
    asked = dict.fromkeys(row.question.rpartition("Question: ")[2] for row in rows)
    leaked = [question for question in asked if held_out.similarity(question) >= LEAK]  # as `synthesize --held-out`
    if leaked:
        some = "; ".join(leaked[:_SHOWN])
        raise PromotionError(
            f"{len(leaked)} rows of {folder} ask what {questions} asks, or nearly ({some}): an adapter "
            "that was trained on them proves nothing. Give questions that were held out, or train again with --held-out."
        )


def _training_data(folder: Path) -> tuple[str, Iterable[Row]]:
    """Hash and rows of a folder of `promptai synthesize` or `promptai ratings dataset`. Raises `TrainingError`."""
    votes = folder / KTO
    if votes.is_file():
        return file_hash(votes), [rated.row for rated in read_all(votes)]
    data = read_data(folder, tuple(Skill))
    return data.hash, (*data.train, *data.held_out)
