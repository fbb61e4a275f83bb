"""Does the server really serve the adapter? TGI answers for a name that it does not know with its base, and says nothing.

The same prompts go to the adapter, to the base (twice: greedy decoding on a busy GPU need not repeat itself) and to a name
that no server knows. An adapter that is served answers otherwise than the base and, where its folder holds `check.json`,
more like what it was trained on than the base does: so another adapter under its name is noticed too. One is not: an adapter
that ratings improved has its parent's `check.json` and answers it nearly as the parent does, so that the parent under its name
passes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pipeline import prompts
from pipeline.errors import ModelRejected, ModelUnavailable, TrainingError
from pipeline.llm import BASE, ChatModel, Message, ModelHost, complete
from pipeline.training.rows import Row

CHECK = "check.json"
"""In an adapter's folder: a few of the prompts that it was trained on, with what it was to answer."""
NOBODY = "promptai-no-such-adapter"
MAX_TOKENS = 32
CLEAR = 0.1
"""A gain in likeness that does not come from a base that differs from itself."""
PROBES = 4
"""Prompts of a `check.json`: enough to tell, and seconds on the embedded model."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A prompt to compare models by."""

    prompt: tuple[Message, ...]
    expected: str = ""
    """What the adapter was trained to answer; empty where that is not known."""


class Verdict(StrEnum):
    """What a check found."""

    SERVED = "served"
    BASE = "base"
    """The server answers like its base."""
    ANOTHER = "another"
    """It answers otherwise than its base, and not as the adapter was trained to."""
    UNSURE = "unsure"
    """The base differs from itself as much, so nothing can be told."""


@dataclass(frozen=True, slots=True)
class Served:
    """What a check found, and on what ground."""

    adapter: str
    verdict: Verdict
    probes: int
    differing: int
    """Probes on which the adapter's answer is not the base's."""
    noise: int
    """Probes on which the base's answer is not its own, asked again or under a name that no server knows."""
    likeness: float | None = None
    """Words shared with what was trained, of the adapter less of the base (-1 to 1); None without a `check.json`."""

    @property
    def advice(self) -> str:
        """What to do, as a sentence; how it was found out where there is nothing to do."""
        name = self.adapter
        match self.verdict:
            case Verdict.SERVED:
                how = f", {self.likeness:+.2f} nearer to its training" if self.likeness is not None else ""
                return f"differs from the base on {self.differing} of {self.probes} prompts{how}"
            case Verdict.BASE:
                return (
                    f"The server answers for {name} as its base does: it did not load the adapter. Start TGI with "
                    f"LORA_ADAPTERS={name}=/path/to/the/adapter, and look for the adapter in its log."
                )
            case Verdict.ANOTHER:
                return (
                    f"The server answers for {name} otherwise than its base, but no more as {name} was trained to: it may "
                    f"have loaded another adapter under that name. Compare LORA_ADAPTERS with the folder in PROMPTAI_ADAPTERS."
                )
        return (
            f"The base answers {self.noise} of {self.probes} prompts differently each time, so {name} cannot be told from "
            "it. Try again while the server is idle, and name the adapter's folder in PROMPTAI_ADAPTERS."
        )


_PROBES = (
    Probe(tuple(prompts.draft_messages("Where do I begin?", trained=True))),
    Probe(tuple(prompts.draft_messages("Which terms does the documentation use, and what do they mean?"))),
    Probe((Message("user", "Explain in two sentences what you know best."),)),
    Probe((Message("user", "Write down the first thing that comes to your mind."),)),
)
"""Where an adapter's own are not known: the first two are in the form that drafts are trained in."""

_FILE = TypeAdapter(list[Probe])


async def check_served(host: ModelHost, adapter: str, probes: Sequence[Probe] = ()) -> Served:
    """Compare `adapter` with the base. Raises what `ChatModel.stream` raises."""
    asked = tuple(probes) or _PROBES
    base, adapted = host.model(BASE), host.model(adapter)
    nobody = _nobody(host)
    differing = noise = 0
    gained: list[float] = []
    for probe in asked:
        plain, other = await _say(base, probe), await _say(adapted, probe)
        differing += other != plain
        noise += await _say(base, probe) != plain or await _unknown_differs(nobody, probe, plain)
        if probe.expected:
            gained.append(likeness(other, probe.expected) - likeness(plain, probe.expected))
    found = sum(gained) / len(gained) if gained else None
    return Served(adapter, _verdict(differing, noise, found), len(asked), differing, noise, found)


def _verdict(differing: int, noise: int, gained: float | None) -> Verdict:
    if differing == 0:
        return Verdict.BASE
    if differing <= noise:
        return Verdict.SERVED if gained is not None and gained > CLEAR else Verdict.UNSURE
    return Verdict.SERVED if gained is None or gained > 0 else Verdict.ANOTHER


def _nobody(host: ModelHost) -> ChatModel | None:
    """None where the host itself knows which adapters there are."""
    try:
        return host.model(NOBODY)
    except ModelUnavailable:
        return None


async def _unknown_differs(nobody: ChatModel | None, probe: Probe, plain: str) -> bool:
    if nobody is None:
        return False
    try:
        return await _say(nobody, probe) != plain
    except (ModelRejected, ModelUnavailable):  # vLLM refuses a name that it does not know (404): better still
        return False


async def _say(model: ChatModel, probe: Probe) -> str:
    return await complete(model, probe.prompt, max_tokens=MAX_TOKENS)


def likeness(said: str, expected: str) -> float:
    """Words shared: F1, 0 to 1, of `said` and as much of the beginning of `expected` as could be said.

    >>> likeness("the stall ratio", "The Stall Ratio is measured")
    1.0
    """
    ours = said.lower().split()
    theirs = expected.lower().split()[: max(len(ours), 1)]
    shared = (Counter(ours) & Counter(theirs)).total()
    return 2 * shared / (len(ours) + len(theirs)) if shared else 0.0


def write_probes(folder: Path, rows: Sequence[Row]) -> None:
    """Write `check.json` for an adapter trained on `rows`: the shortest prompts, one of each kind first."""
    ordered = sorted(rows, key=lambda row: (sum(len(message.content) for message in row.prompt), row.question))
    firsts: dict[str, Row] = {}
    for row in ordered:
        firsts.setdefault(row.kind, row)
    chosen = [*firsts.values(), *(row for row in ordered if firsts[row.kind] is not row)]
    probes = [Probe(row.prompt, row.text) for row in chosen[:PROBES]]
    (folder / CHECK).write_bytes(_FILE.dump_json(probes, indent=1))


def read_probes(folder: Path) -> tuple[Probe, ...]:
    """The probes of an adapter's folder; none where it has no `check.json`. Raises `TrainingError`."""
    file = folder / CHECK
    if not file.is_file():
        return ()
    try:
        return tuple(_FILE.validate_python(json.loads(file.read_text(encoding="utf-8"))))
    except (OSError, ValueError, ValidationError) as exc:
        raise TrainingError(f"{file} cannot be read. Copy the adapter again, or remove the file.") from exc
