"""One evaluation from its plan to its report. `bot.evaluate` builds what it runs on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter

from pipeline.answering import AnsweringOptions
from pipeline.confidence import UNCALIBRATED, Calibrations
from pipeline.errors import EvaluationError
from pipeline.evaluation.arms import BASELINE, Arm, choose, expand
from pipeline.evaluation.cases import Case, Progress, read_cases, sample, with_drafts
from pipeline.evaluation.corpus import Corpus, with_known_gold
from pipeline.evaluation.drafts import Drafter, Drafts
from pipeline.evaluation.judge import judged
from pipeline.evaluation.markdown import markdown
from pipeline.evaluation.page import page
from pipeline.evaluation.records import Record, RecordFile
from pipeline.evaluation.report import Report, build
from pipeline.evaluation.run import Runner, Setup, fingerprint
from pipeline.llm import ChatModel

REPORT = TypeAdapter(Report)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run."""

    questions: Path
    out: Path
    """Folder for records and reports."""
    drafts: Path | None = None
    """Drafts to be replayed."""
    arms: tuple[str, ...] = ()
    """Names; none: all that the run can do."""
    split: str | None = None
    size: int | None = None
    """At most so many questions."""
    retrieval_only: bool = False
    at_once: int = 1
    """Cases in flight."""
    fresh: bool = False
    """Forget an earlier run in the same folder."""
    tenant: str = "default"
    models: tuple[str, ...] = ()
    """Compare these as answerers (`promptai evaluate models`)."""


@dataclass(frozen=True, slots=True)
class Models:
    """What answers, drafts and judges."""

    answerers: Mapping[str, ChatModel]
    """By name, the product's under the empty one."""
    drafter: ChatModel
    base: ChatModel
    judge: ChatModel | None = None
    calibrations: Calibrations = UNCALIBRATED
    """Of the drafter."""
    drafters: Mapping[str, Drafter] = field(default_factory=dict)
    """Others, by `Arm.drafter`."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of all whose words are measured."""
        others = (drafter.model.name for drafter in self.drafters.values())
        return (*(model.name for model in self.answerers.values()), self.drafter.name, self.base.name, *others)

    @property
    def marks(self) -> tuple[str, ...]:
        """Names and calibrations: records stand side by side only where these are the same."""
        known = (self.calibrations, *(drafter.calibrations for drafter in self.drafters.values()))
        return (*self.names, *map(repr, known))


def cases_of(plan: Plan) -> tuple[Case, ...]:
    """The plan's questions with their drafts. Raises `EvaluationError`."""
    cases = read_cases(plan.questions, split=plan.split)
    cases = sample(cases, plan.size) if plan.size else cases
    return with_drafts(cases, plan.drafts) if plan.drafts else cases


def arms_of(plan: Plan, cases: Sequence[Case]) -> tuple[Arm, ...]:
    """The plan's arms. A run of retrieval only leaves out, where none are named, what needs a model or does not retrieve."""
    if plan.models:
        controls = choose([BASELINE, "gold-passages", "random-passages"] if not plan.arms else plan.arms)
        return tuple(replace(arm, name=f"{arm.name}:{m}", model=m) for m in plan.models for arm in controls)
    replayed = dict.fromkeys(model for case in cases for model in case.drafts)
    arms = expand(choose(plan.arms), tuple(replayed))
    if plan.retrieval_only and plan.arms:
        silent = [arm.name for arm in arms if not arm.retrieves]
        if silent:
            raise EvaluationError(f"{', '.join(silent)}: such an arm only answers; leave out --retrieval-only.")
    if plan.retrieval_only and not plan.arms:
        arms = tuple(arm for arm in arms if arm.retrieves and not arm.writes_drafts)
    return arms


def needs_model(plan: Plan, arms: Sequence[Arm]) -> bool:
    """Whether anything has to be generated."""
    return not plan.retrieval_only or any(arm.writes_drafts for arm in arms)


@dataclass(frozen=True, slots=True)
class Measured:
    """What was run, before it is compared."""

    cases: tuple[Case, ...]
    arms: tuple[Arm, ...]
    records: Mapping[tuple[str, str], Record]
    """By (case, arm)."""

    def report(self, title: str, about: Mapping[str, str], *, baseline: str) -> Report:
        """Everything compared with the arm `baseline`."""
        return build(title, about, self.cases, self.arms, self.records, baseline=baseline)


async def evaluate(
    plan: Plan,
    cases: Sequence[Case],
    arms: Sequence[Arm],
    *,
    corpus: Corpus,
    models: Models | None,
    options: AnsweringOptions,
    about: Mapping[str, str],
    progress: Progress,
) -> Report:
    """Run what is missing, then write `report.json`, `report.md` and `report.html` into `plan.out`. See `measure`."""
    found = await measure(plan, cases, arms, corpus=corpus, models=models, options=options, progress=progress)
    baseline = next((arm.name for arm in arms if arm.name == BASELINE), arms[0].name)
    report = found.report(f"Evaluation of {plan.questions.name}", about, baseline=baseline)
    write(report, plan.out)
    return report


async def measure(
    plan: Plan,
    cases: Sequence[Case],
    arms: Sequence[Arm],
    *,
    corpus: Corpus,
    models: Models | None,
    options: AnsweringOptions,
    progress: Progress,
) -> Measured:
    """Run what is missing and keep it in `plan.out`.

    `models`: None where `needs_model` says so. Raises `EvaluationError` before anything is run.
    """
    cases = await with_known_gold(cases, corpus)
    drafts = Drafts(
        cases,
        drafters=_drafters(models, options) if models else {},
        base=models.base if models else None,
        max_tokens=options.draft_tokens,
    )
    answerers = models.answerers if models and not plan.retrieval_only else {}
    setup = Setup(corpus, drafts, answerers, options, plan.tenant)
    file = plan.out / "records.jsonl"
    if plan.fresh:
        file.unlink(missing_ok=True)
    kept = RecordFile(file, fingerprint(cases, corpus, options, models.marks if models else ()))
    try:
        await Runner(setup).run(cases, arms, kept, at_once=plan.at_once, progress=progress)
        if models and models.judge:
            await _judge(cases, arms, kept, models.judge)
    finally:
        kept.close()
    return Measured(tuple(cases), tuple(arms), kept.records)


def _drafters(models: Models, options: AnsweringOptions) -> Mapping[str, Drafter]:
    return {"": Drafter(models.drafter, options.trained_drafter, models.calibrations), **models.drafters}


async def _judge(cases: Sequence[Case], arms: Sequence[Arm], kept: RecordFile, judge: ChatModel) -> None:
    """Score what has no score yet; an unreadable verdict is asked for again by the next run."""
    for case in cases:
        for arm in arms:
            record = kept.records[case.id, arm.name]
            if (scored := await judged(record, case, judge)) is not record:
                kept.add(scored)


def write(report: Report, folder: Path) -> None:
    """The report's three forms."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_bytes(REPORT.dump_json(report, indent=1))
    (folder / "report.md").write_text(markdown(report), encoding="utf-8")
    (folder / "report.html").write_text(page(report), encoding="utf-8")
