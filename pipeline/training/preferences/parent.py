"""The adapter that ratings improve: checked against the base and the rows before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import TrainingError
from pipeline.training.adapter import WEIGHTS, Adapter, read_adapter
from pipeline.training.base import Base
from pipeline.training.manifest import Parent, parent_of
from pipeline.training.memory import shapes
from pipeline.training.recipe import Dimensions, Module
from pipeline.training.rows import Skill, file_hash


@dataclass(frozen=True, slots=True)
class Improved:
    """The adapter that training starts from."""

    folder: Path
    shape: dict[str, object]
    """`rank`, `alpha` and `modules`, as a recipe names them."""
    skills: tuple[str, ...]
    """What it was trained for: what it does not lose by it."""
    told: Parent
    """What the new adapter's manifest says of it."""


def check_parent(folder: Path, base: Base | None, shape: Dimensions) -> Improved:
    """Read the adapter in `folder` and check that it can be improved by ratings of answers.

    `base`: what is trained on; None where only its `shape` is known. Raises `TrainingError` where the adapter could not be
    served, is damaged, belongs to another base, or never learned to answer.
    """
    adapter = read_adapter(folder)
    manifest = adapter.manifest
    skills = _skills(folder, manifest.get("skills"))
    trained_on = manifest.get("base")
    if base is not None and isinstance(trained_on, dict) and trained_on.get("sha256") not in (None, "", base.sha256):
        raise TrainingError(
            f"{folder} was trained on {trained_on.get('name', 'another base')} ({str(trained_on['sha256'])[:12]}…), and the "
            f"recipe's base is {base.name} ({base.sha256[:12]}…). Give --base what the adapter was trained on."
        )
    if not float(adapter.alpha).is_integer():
        raise TrainingError(f"{folder} has lora_alpha {adapter.alpha}; only a whole number can be trained on.")
    modules = _check_shapes(folder, adapter, shape)
    name = str(manifest.get("name") or folder.name)
    told = Parent(name, file_hash(folder / WEIGHTS), str(manifest.get("data", "")), parent_of(str(folder), manifest))
    shaped = {"rank": adapter.rank, "alpha": int(adapter.alpha), "modules": modules}
    return Improved(folder, shaped, skills, told)


def _skills(folder: Path, skills: object) -> tuple[str, ...]:
    """Of the manifest; of an adapter that says nothing, what it is given for."""
    told = tuple(map(str, skills)) if isinstance(skills, list) else ()
    if told and Skill.ANSWER.value not in told:
        raise TrainingError(
            f"{folder} was trained for {', '.join(told)} and not to answer from passages, and what people rated are answers: give "
            "the adapter that answers (ANSWER_MODEL). A drafter learns from the draft rows of sft.jsonl."
        )
    return told or (Skill.ANSWER.value,)


def _check_shapes(folder: Path, adapter: Adapter, shape: Dimensions) -> tuple[Module, ...]:
    """Its modules, if all layers of the base have them."""
    expected = shapes(shape)
    names = {projection for _, projection in adapter.pairs}
    modules = tuple(module for module in Module if module.value in names)
    wanted = {(layer, module.value) for layer in range(shape.layers) for module in modules}
    odd = sorted(wanted ^ adapter.pairs.keys())
    if odd:
        layer, projection = odd[0]
        where = "does not adapt" if odd[0] in wanted else "adapts"
        raise TrainingError(
            f"{folder} {where} layer {layer} {projection}, and the base has {shape.layers} layers: it is for another base, or "
            "incomplete. Give --base what the adapter was trained on, or copy it again."
        )
    for (layer, projection), pair in adapter.pairs.items():
        found = (pair.a.shape[1], pair.b.shape[0])
        if found != expected[Module(projection)]:
            raise TrainingError(
                f"{folder} is for another base: its layer {layer} {projection} is {found[0]} x {found[1]}, and the base's "
                f"{' x '.join(map(str, expected[Module(projection)]))}. Give --base what the adapter was trained on."
            )
    return modules
