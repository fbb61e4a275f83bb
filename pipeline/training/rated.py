"""Answers with people's votes on them, and what the votes say together. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.types import Answer

OUTDATED = "outdated"
"""The reason that blames the documents: an answer that followed them is no bad example."""
CORRECTABLE = frozenset({"wrong", "incomplete", OUTDATED})
"""Reasons with which a comment says what would have been right."""
LEAST_WORDS = 4
"""A correction of fewer words ("no", "ask support") is no answer."""

_MARKED = re.compile(r"\s*(?:correct(?:ion|ed)?(?: answer)?|right answer|should (?:be|read|say))\s*:\s*", re.IGNORECASE)
"""How a comment says by itself that it is a correction, where nothing asked for one."""


@dataclass(frozen=True, slots=True)
class Consent:
    """A tenant's agreement that its ratings may train a model."""

    id: str
    at: datetime
    """When it was recorded; aware, UTC."""


@dataclass(frozen=True, slots=True)
class GivenVote:
    """One person's current vote. Who gave it is not known here."""

    up: bool
    expert: bool
    """Of the company's own experts."""
    at: datetime
    reason: str = ""
    """Of a thumbs-down: `wrong`, `incomplete`, `outdated`, `irrelevant` or `other`; empty where none was given."""
    comment: str = ""
    asked_what_is_right: bool = False
    """The comment answers "What would have been right?"; elsewhere a correction has to say that it is one."""

    @property
    def correction(self) -> str:
        """What the person says the answer should have been; empty if the comment is nothing of the kind."""
        marked = _MARKED.match(self.comment)
        text = self.comment[marked.end() if marked else 0 :].strip()
        meant = marked is not None or (self.asked_what_is_right and self.reason in CORRECTABLE)
        enough = len(re.findall(r"\w+", text)) >= LEAST_WORDS and not text.endswith("?")
        return text if meant and enough and not self.up else ""


@dataclass(frozen=True, slots=True)
class RatedAnswer:
    """A delivered answer with the current votes on it."""

    answer_id: str
    tenant: str
    platform: str
    question: str
    """As it was asked; `answer.question` is the one that was answered."""
    asked_at: datetime
    answer: Answer
    votes: tuple[GivenVote, ...]
    consent: Consent
    stale: bool
    """Something it cites has changed or disappeared since."""
    experiment: str = ""
    """`name/arm` of the live experiment that it was part of; empty for none."""
    versions: Mapping[str, str] | None = None
    """Document id -> content hash today, of the documents whose passages the model was shown."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the votes on one answer say together."""

    good: bool | None
    """None where they do not say: as many for as against."""
    by_experts: bool
    """Experts have voted, and only they count."""
    ups: int
    downs: int
    expert_ups: int
    expert_downs: int
    outdated: int
    """Thumbs-downs set aside because they blame the documents."""


def verdict(votes: Sequence[GivenVote]) -> Verdict:
    """Where an expert has voted only experts count; then the majority. A tie says nothing.

    A thumbs-down for being outdated is set aside, except as an expert's reason to write a correction: the model was right to
    follow what the documents said.
    """
    counted = [vote for vote in votes if vote.up or vote.reason != OUTDATED]
    experts = [vote for vote in counted if vote.expert]
    deciding = experts or ([] if any(vote.expert for vote in votes) else counted)
    balance = sum(1 if vote.up else -1 for vote in deciding)
    return Verdict(
        good=None if balance == 0 else balance > 0,
        by_experts=bool(experts),
        ups=sum(vote.up for vote in counted),
        downs=sum(not vote.up for vote in counted),
        expert_ups=sum(vote.up for vote in experts),
        expert_downs=sum(not vote.up for vote in experts),
        outdated=len(votes) - len(counted),
    )


def correction(votes: Sequence[GivenVote]) -> GivenVote | None:
    """The latest vote of an expert with a correction."""
    written = [vote for vote in votes if vote.expert and vote.correction]
    return max(written, key=lambda vote: vote.at, default=None)
