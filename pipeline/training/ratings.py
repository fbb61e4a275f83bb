"""From rated answers to training rows: KTO rows from votes, SFT rows from what experts approved or corrected. Pure.

KTO (Ethayarajh et al. 2024, https://arxiv.org/abs/2402.01306) learns from single answers marked good or bad. A row has the
prompt that the model was given and the answer as it wrote it: readers see passages renumbered, the model did not.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from pipeline import prompts
from pipeline.llm import Message
from pipeline.training.leaks import Leaks
from pipeline.training.rated import RatedAnswer, Verdict, verdict
from pipeline.training.rated_texts import CleanAnswer, cited, cleaned, says_something, without_markers
from pipeline.training.rows import Provenance, Row, Skill
from pipeline.training.scrubbing import VERSION, Scrubber
from pipeline.types import SHARED, Mode


class Dropped(StrEnum):
    """Why a rated answer, or a row of it, is left out."""

    HELD_OUT = "its question is an evaluation question, or nearly one"
    STALE = "what it cites has changed since"
    PRIVATE = "the model was shown a tenant's own documents: use --tenant for an adapter of its own"
    UNDECIDED = "as many votes for as against"
    DOCUMENTS = "outdated: the fault is the documents', not the model's"
    ABSTENTION = "a thumbs-down on an abstention: the documents may really not say"
    NO_PASSAGES = "an abstention without passages: the model was not asked"
    EMPTY = "nothing was left of it after scrubbing"
    UNSUPPORTED = "a correction that the passages do not bear out: trained closed-book only"


@dataclass(frozen=True, slots=True)
class Rated:
    """A row with what is known of its rating, as JSON values."""

    row: dict[str, Any]
    rating: dict[str, Any]

    @property
    def line(self) -> str:
        """One line of JSON. `rows.read_rows` leaves `rating` out."""
        return json.dumps({**self.row, "rating": self.rating}, ensure_ascii=False) + "\n"


@dataclass(slots=True)
class RatingsData:
    """What came of the ratings."""

    kto: list[Rated] = field(default_factory=list)
    sft: list[Rated] = field(default_factory=list)
    dropped: Counter[Dropped] = field(default_factory=Counter)
    scrubbed: Counter[str] = field(default_factory=Counter)
    """Kind of finding -> how often, in the answers that were kept."""
    answers: int = 0
    """Rated answers that were looked at."""


def ratings_data(
    answers: Iterable[RatedAnswer], *, scrubber: Scrubber, held_out: Leaks, small_model: bool, private: bool
) -> RatingsData:
    """Make the rows, in an order that is the same each time and has nothing to do with tenants or time.

    `small_model`: with the prompts of the embedded model. `private`: also from a tenant's own documents, for an adapter that
    only this tenant is served with.
    """
    data = RatingsData()
    for rated in answers:
        data.answers += 1
        reason = _unusable(rated, held_out, private=private)
        if reason is not None:
            data.dropped[reason] += 1
            continue
        _add(data, rated, scrubber, small_model=small_model)
    for rows in (data.kto, data.sft):
        rows.sort(key=lambda row: hashlib.sha256(row.line.encode()).digest())
    return data


def _unusable(rated: RatedAnswer, held_out: Leaks, *, private: bool) -> Dropped | None:
    if rated.question in held_out or rated.answer.question in held_out:
        return Dropped.HELD_OUT
    if rated.stale:
        return Dropped.STALE
    if not private and any(hit.passage.tenant != SHARED for hit in rated.answer.hits):
        return Dropped.PRIVATE
    return Dropped.NO_PASSAGES if rated.answer.abstained and not rated.answer.hits else None


def _add(data: RatingsData, rated: RatedAnswer, scrubber: Scrubber, *, small_model: bool) -> None:
    clean, found = cleaned(rated, scrubber, small_model=small_model)
    if not says_something(clean.question) or not says_something(clean.text):
        data.dropped[Dropped.EMPTY] += 1
        return
    decided = verdict(rated.votes)
    told = _told(rated, decided, found)
    kto = _kto(rated, clean, decided)
    if isinstance(kto, Dropped):
        data.dropped[kto] += 1
    else:
        data.kto.append(Rated(kto, told))
    sft = list(_sft(data, rated, clean, decided))
    data.sft += [Rated(asdict(row), told) for row in sft]
    if sft or not isinstance(kto, Dropped):
        data.scrubbed.update(found)


def _kto(rated: RatedAnswer, clean: CleanAnswer, decided: Verdict) -> dict[str, Any] | Dropped:
    if decided.good is None:
        return Dropped.DOCUMENTS if decided.outdated and not decided.downs else Dropped.UNDECIDED
    if rated.answer.abstained and not decided.good:
        return Dropped.ABSTENTION
    return {
        "prompt": [asdict(message) for message in clean.prompt(rated.answer.mode)],
        "completion": [asdict(Message("assistant", clean.text))],
        "label": decided.good,
    }


def _sft(data: RatingsData, rated: RatedAnswer, clean: CleanAnswer, decided: Verdict) -> Iterable[Row]:
    """An answer that experts approved teaches both skills, and so does a correction if the passages bear it out."""
    approved = bool(decided.good and decided.by_experts)
    grounded = rated.answer.mode is not Mode.FINETUNED
    if approved and rated.answer.abstained:
        yield _row(rated, clean, Skill.ANSWER, "abstention", clean.text)
    elif approved:
        if grounded:
            yield _row(rated, clean, Skill.ANSWER, "approved", clean.text)
        yield _row(rated, clean, Skill.DRAFT, "approved", without_markers(clean.text))
    elif clean.correction and not (decided.by_experts and decided.good is None):
        text = cited(clean.correction, clean.hits) if grounded and not clean.outdated else ""
        if text:
            yield _row(rated, clean, Skill.ANSWER, "corrected", text)
        elif grounded:
            data.dropped[Dropped.UNSUPPORTED] += 1
        yield _row(rated, clean, Skill.DRAFT, "corrected", without_markers(clean.correction))


def _row(rated: RatedAnswer, clean: CleanAnswer, skill: Skill, kind: str, text: str) -> Row:
    draft = skill is Skill.DRAFT
    prompt = prompts.draft_messages(clean.question, trained=True) if draft else clean.prompt(rated.answer.mode)
    documents = tuple(dict.fromkeys(hit.passage.document_id for hit in clean.hits))
    versions = rated.versions or {}
    author = "expert" if kind == "corrected" else " ".join(rated.answer.models)
    provenance = Provenance(
        document=" ".join(documents),
        passages=tuple(hit.passage.id for hit in clean.hits),
        version=" ".join(versions.get(document, "") for document in documents).strip(),
        generator=author,
    )
    return Row(tuple(prompt), (Message("assistant", text),), skill, kind, provenance)


def _told(rated: RatedAnswer, decided: Verdict, found: Counter[str]) -> dict[str, Any]:
    """What is known of a row's rating. Nobody is named, and the answer's id leads back only through our own store."""
    versions = rated.versions or {}
    return {
        "answer": hashlib.sha256(f"promptai rating {rated.answer_id}".encode()).hexdigest()[:32],
        "tenant": rated.tenant,
        "platform": rated.platform,
        "day": rated.asked_at.date().isoformat(),
        "mode": rated.answer.mode.value,
        "models": list(rated.answer.models),
        "experiment": rated.experiment,
        "votes": {name: getattr(decided, name) for name in ("ups", "downs", "expert_ups", "expert_downs", "outdated")},
        "decided_by": "experts" if decided.by_experts else "everybody",
        "reasons": sorted({vote.reason for vote in rated.votes if vote.reason}),
        "passages": [
            {"id": p.id, "document": p.document_id, "version": versions.get(p.document_id, "")}
            for p in (hit.passage for hit in rated.answer.hits)
        ],
        "consent": {"id": rated.consent.id, "at": rated.consent.at.isoformat()},
        "scrubbing": {"version": VERSION, "found": sum(found.values())},
    }  # fmt: skip
