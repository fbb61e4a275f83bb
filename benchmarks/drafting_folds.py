"""Whether `gated` and `speculative` drafting keep their promise with thresholds that the judged questions did not choose.

    python -m benchmarks.drafting_folds FOLDER --cache FOLDER [--model NAME ...] [--drafts known said gold] [--adapter FOLDER]

FOLDER holds Ray's documentation (benchmarks/waiting.py). For each of five folds by gold page (benchmarks/retrieval_folds.py)
the thresholds are chosen on the other four and judged on it: benchmarks/drafting_thresholds.py says which, and by what.
Which drafts are replayed: benchmarks/waiting_drafts.py; both halves of the example corpus follow, with the drafts of the
demo's adapter, and the test half once more under what all of the dev half chooses.

Times are those of benchmarks/waiting.py on its simulated servers, draft and answer on the same one, alone; nothing is waited
for. The demo's adapter is timed as if a model of 70 billion parameters said the same.
Intervals: 95%, paired bootstrap over questions.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog

from benchmarks.drafting_courses import Courses
from benchmarks.drafting_data import EXAMPLE, Data, example, ray
from benchmarks.drafting_thresholds import Floats, Setting, Tried, choose, chosen_on_folds, grid
from benchmarks.retrieval_folds import FOLDS, folds_of
from benchmarks.waiting import POLICIES, Policy, Result, resampled
from benchmarks.waiting_known import Kind
from benchmarks.waiting_server import A100, H100, Gpus
from pipeline.speculation import Drafting
from pipeline.types import Mode

SERVERS = (A100, H100)
RAG, ALWAYS = POLICIES[:2]
CHOSEN = (Drafting.GATED, Drafting.SPECULATIVE)
USED = ("named", "added", "waited", "restarted")
"""Outcomes in which the draft had a part in what was found."""

HEAD = (
    "| drafts | drafting | thresholds | nDCG@10 | over hybrid (95%) | over always (95%) | kept | draft used"
    " | A100: first token over RAG, median / p90 | H100 |\n|---|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Outcomes:
    """One way to answer, all questions."""

    tried: Tried
    used: Floats
    """1 where the draft was; shape (questions,). Servers may differ, since their drafts come at another pace: means of both."""


class Bench:
    """One drafter's questions."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self.folds = folds_of([case.pages[0] for case in data.cases])
        self._courses = Courses(data.kind)
        self._rag = {gpus.name: self._results(RAG, gpus, 0) for gpus in SERVERS}
        self._known: dict[tuple[Policy, int], Outcomes] = {}

    def outcomes(self, policy: Policy, fold: int) -> Outcomes:
        """Of all questions, with drafts calibrated without `fold`."""
        at = policy, fold if self._by_fold else 0
        if at not in self._known:
            results = {gpus.name: self._results(policy, gpus, fold) for gpus in SERVERS}
            slower = [_times(results[gpus.name]) / _times(self._rag[gpus.name]) for gpus in SERVERS]
            quality = np.mean([[result.page for result in each] for each in results.values()], axis=0)
            used = np.mean([[result.outcome in USED for result in each] for each in results.values()], axis=0)
            self._known[at] = Outcomes(Tried(quality, np.array(slower)), used)
        return self._known[at]

    def over_folds(self, policies: Sequence[Policy]) -> Outcomes:
        """Each fold's questions under its own policy."""
        each = [self.outcomes(policy, fold) for fold, policy in enumerate(policies)]
        of = [each[fold] for fold in self.folds]
        at = range(len(of))
        quality = np.array([one.tried.quality[i] for i, one in zip(at, of, strict=True)])
        slower = np.array([one.tried.slower[:, i] for i, one in zip(at, of, strict=True)]).T
        return Outcomes(Tried(quality, slower), np.array([one.used[i] for i, one in zip(at, of, strict=True)]))

    def chosen(self, drafting: Drafting) -> list[Policy]:
        """For each fold what the others choose."""
        policies = [policy_of(drafting, setting) for setting in grid(self.data.kind, drafting)]
        tried = {fold: [self.outcomes(policy, fold).tried for policy in policies] for fold in range(FOLDS)}
        always = {fold: self.outcomes(ALWAYS, fold).tried.quality for fold in range(FOLDS)}
        return [policies[at] for at in chosen_on_folds(tried, self.hybrid, always, self.folds)]

    def chosen_on_all(self, drafting: Drafting) -> Policy:
        """What all questions choose: to be judged on others."""
        policies = [policy_of(drafting, setting) for setting in grid(self.data.kind, drafting)]
        tried = [self.outcomes(policy, 0).tried for policy in policies]
        every = np.ones(len(self.folds), dtype=bool)
        return policies[choose(tried, self.hybrid, self.outcomes(ALWAYS, 0).tried.quality, every)]

    @property
    def hybrid(self) -> Floats:
        return np.array([result.page for result in self._rag[A100.name]])

    @property
    def _by_fold(self) -> bool:
        return any(known is not self.data.known[0] for known in self.data.known)

    def _results(self, policy: Policy, gpus: Gpus, fold: int) -> list[Result]:
        known = self.data.known[fold]
        return [self._courses.result(policy, gpus, case, known[case.standalone]) for case in self.data.cases]


def policy_of(drafting: Drafting, setting: Setting) -> Policy:
    return Policy(drafting, Mode.COMBINED, drafting, setting.bounds, setting.words)


def setting_of(policy: Policy) -> Setting:
    assert policy.words is not None
    return Setting(policy.bounds, policy.words)


def _times(results: Sequence[Result]) -> Floats:
    return np.array([result.first_token for result in results])


def rows(bench: Bench, dev: Bench | None = None) -> Iterator[str]:
    """The table's rows, then what each fold chose. `dev`: questions that choose for all of these once more."""
    always = bench.over_folds([ALWAYS] * FOLDS)
    yield row(bench, "always", "", always, always)
    told = []
    for drafting in CHOSEN:
        first = policy_of(drafting, grid(bench.data.kind, drafting)[0])
        yield row(bench, drafting, "shipped", bench.over_folds([first] * FOLDS), always)
        chosen = bench.chosen(drafting)
        yield row(bench, drafting, "by folds", bench.over_folds(chosen), always)
        told += [f"{drafting}, fold {fold}: {setting_of(policy)}" for fold, policy in enumerate(chosen, start=1)]
        if dev is not None:
            policy = dev.chosen_on_all(drafting)
            yield row(bench, drafting, "by dev half", bench.over_folds([policy] * FOLDS), always)
            told.append(f"{drafting}, dev half: {setting_of(policy)}")
    yield "\n" + "\n".join(told) + "\n"


def row(bench: Bench, drafting: str, thresholds: str, found: Outcomes, always: Outcomes) -> str:
    quality, gained = found.tried.quality, float((always.tried.quality - bench.hybrid).mean())
    kept = f"{float((quality - bench.hybrid).mean()) / gained:.0%}" if gained > 0 else ""
    times = [f"{np.median(each):.2f} / {np.quantile(each, 0.9):.2f}" for each in found.tried.slower]
    over_always = "" if found is always else difference(quality - always.tried.quality)
    cells = [
        bench.data.name,
        drafting,
        thresholds,
        f"{quality.mean():.3f}",
        difference(quality - bench.hybrid),
        over_always,
    ]
    return f"| {' | '.join([*cells, kept, f'{found.used.mean():.0%}', *times])} |"


def difference(values: Floats) -> str:
    low, high = np.quantile(resampled(len(values)) @ values / len(values), [0.025, 0.975])
    return f"{values.mean():+.3f} ({low:+.3f} to {high:+.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, required=True, help="folder that keeps vectors and the adapter's drafts")
    parser.add_argument(
        "--model", nargs="*", default=["gpt-4-1106", "mixtral-8x7b-instruct"], help="whose drafts are replayed"
    )
    parser.add_argument("--drafts", type=Kind, nargs="*", default=list(Kind), help="on Ray: known, said, gold; or none")
    parser.add_argument("--adapter", type=Path, default=EXAMPLE / "adapter", help="drafts for the example corpus")
    parser.add_argument("--no-example", action="store_true", help="leave the example corpus out")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    options.cache.mkdir(parents=True, exist_ok=True)
    print(HEAD)
    if options.drafts:
        for data in asyncio.run(ray(options.folder, options.model, options.drafts, options.cache)):
            show(Bench(data))
    if not options.no_example:
        dev, test = (Bench(data) for data in asyncio.run(example(options.adapter, options.cache)))
        show(dev)
        show(test, dev)


def show(bench: Bench, dev: Bench | None = None) -> None:
    print(f"| {bench.data.name} | hybrid | | {bench.hybrid.mean():.3f} | | | | | | |")
    for line in rows(bench, dev):
        print(line, flush=True)


if __name__ == "__main__":
    main()
