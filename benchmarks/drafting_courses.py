"""What comes of a question under a setting, simulated once for each course that events can take.

Settings differ in what a draft's beginning decides, and after which token; most of them decide most questions alike. So the
verdicts are computed for every setting, by the product's own `decide`, and the simulated server of `benchmarks/waiting.py`
is asked only for courses that it has not run yet. It has seen the instructions before, and no question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

from benchmarks.waiting import SEARCH_SECONDS, Policy, Result, ask_one
from benchmarks.waiting_known import WORDS, Kind, Known, key
from benchmarks.waiting_server import H100, Gpus, JumpingLoop, Server, prompt_of
from pipeline import prompts
from pipeline.evaluation.cases import Case
from pipeline.speculation import Drafting
from pipeline.types import Findings, Hit, Mode
from pipeline.verdict import Verdict, decide, sure

EARLY = 1 + int(SEARCH_SECONDS / H100.step(1))
"""Tokens of a draft that may be there when the question's passages are: verdicts before that may fall unseen."""


class Courses:
    """Of the drafts of one kind."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._seen = [
            prompt_of(prompts.draft_messages("", trained=kind is not Kind.SAID)),
            prompt_of(prompts.answer_messages("", [])),
        ]
        self._results: dict[Hashable, Result] = {}
        self._verdicts: dict[Hashable, tuple[Hashable, ...]] = {}

    def result(self, policy: Policy, gpus: Gpus, case: Case, known: Known) -> Result:
        """Of one question, alone on the server."""
        at = (policy.mode, policy.drafting, gpus.name, case.standalone, self.course(policy, known))
        if at not in self._results:
            server = Server(gpus, self._seen)
            with asyncio.Runner(loop_factory=JumpingLoop) as runner:
                asked = ask_one(policy, self._kind, server, server, case, {case.standalone: known})
                self._results[at] = runner.run(asked)
        return self._results[at]

    def course(self, policy: Policy, known: Known) -> tuple[Hashable, ...]:
        """Equal where the same happens."""
        draft = known.drafts[self._kind]
        if policy.mode is not Mode.COMBINED:
            return ()
        if policy.drafting is Drafting.ALWAYS:
            whole = draft.heard[-1].draft()
            return (key(self._kind, whole.text, whole.trust) if whole else None,)
        if policy.drafting is Drafting.GATED and self._kind is Kind.SAID:
            if sure(known.alone.shown, policy.bounds.sure_rank):
                return ("skipped",)
            return self._decided(policy, known)
        return (*self._decided(policy, known), policy.bounds.changed)

    def _decided(self, policy: Policy, known: Known) -> tuple[Hashable, ...]:
        bounds = policy.bounds
        at = (id(known), bounds.doubted, bounds.believed, bounds.settled, bounds.near, policy.words)
        if at not in self._verdicts:
            self._verdicts[at] = self._verdicts_of(policy, known)
        return self._verdicts[at]

    def _verdicts_of(self, policy: Policy, known: Known) -> tuple[Hashable, ...]:
        """After each token, up to the first that is surely heard."""
        found = Findings(known.alone.shown, known.titles, _nothing)
        words = policy.words or WORDS[self._kind]
        verdicts: list[Hashable] = []
        for tokens, said in enumerate(known.drafts[self._kind].heard):
            verdict = decide(said, found, words, policy.bounds)
            verdicts.append(self._told(verdict) if verdict else None)
            if verdict and tokens >= EARLY:
                break
        return tuple(verdicts)

    def _told(self, verdict: Verdict) -> Hashable:
        draft = verdict.draft
        if verdict.outcome == "waited" and draft:
            return verdict.outcome, key(self._kind, draft.text, draft.trust)
        return verdict.outcome, verdict.title


async def _nothing(_title: str, _first: bool) -> tuple[Hit, ...]:
    return ()
