"""The metrics. Each gives a case a numerator and a denominator, so that means and ratios are resampled alike."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from pipeline.citations import SUPPORT, support
from pipeline.errors import EvaluationError
from pipeline.evaluation.cases import Case
from pipeline.evaluation.details import unsupported
from pipeline.evaluation.records import Answered, Record

Score = tuple[float, float]
"""Numerator and denominator; a metric's value over cases is the sum of the ones over the sum of the others."""


@dataclass(frozen=True, slots=True)
class Metric:
    """How well an arm did."""

    name: str
    about: str
    """One line for the report."""
    higher_is_better: bool = True


RANKED = tuple(
    Metric(f"{level} {name}", f"{about}, by {level}")
    for level in ("page", "section")
    for name, about in (
        ("R@1", "share of the gold found at rank 1"),
        ("R@5", "share of the gold among the first 5"),
        ("R@10", "share of the gold among the first 10"),
        ("nDCG@10", "gold high up counts more (Järvelin and Kekäläinen 2002)"),
        ("RR@10", "1 / rank of the first gold one"),
    )
)

AnswerScore = Callable[[Case, Answered], Score | None]


def ranked(cases: Sequence[Case], records: Mapping[str, Record]) -> dict[str, dict[str, Score]]:
    """The retrieval metrics of one arm's records: metric -> case -> score. Cases without gold have none."""
    scores: dict[str, dict[str, Score]] = {}
    for level in ("page", "section"):
        gold = {case.id: _gold(case, level) for case in cases if case.id in records}
        order = {case_id: _order(records[case_id], level) for case_id, names in gold.items() if names}
        for case_id, values in _measure({k: v for k, v in gold.items() if v}, order).items():
            for name, value in values.items():
                scores.setdefault(f"{level} {name}", {})[case_id] = (value, 1.0)
    return scores


def _gold(case: Case, level: str) -> tuple[str, ...]:
    if level == "page":
        return tuple(dict.fromkeys(case.pages))
    return tuple(dict.fromkeys(f"{section.page} > {section.name}" for section in case.sections))


def _order(record: Record, level: str) -> list[str]:
    """Pages or sections where their best passage stands, the first ten."""
    names = (hit.page if level == "page" else hit.section for hit in record.found)
    return list(dict.fromkeys(names))[:10]


def _measure(gold: Mapping[str, Sequence[str]], order: Mapping[str, Sequence[str]]) -> dict[str, dict[str, float]]:
    ir = _library("ir_measures")
    wanted = {"R@1": ir.R @ 1, "R@5": ir.R @ 5, "R@10": ir.R @ 10, "nDCG@10": ir.nDCG @ 10, "RR@10": ir.RR @ 10}
    names = {measure: name for name, measure in wanted.items()}
    qrels = [ir.Qrel(case, name, 1) for case, found in gold.items() for name in found]
    run = [ir.ScoredDoc(case, name, -float(at)) for case, found in order.items() for at, name in enumerate(found)]
    values: dict[str, dict[str, float]] = {case: dict.fromkeys(wanted, 0.0) for case in gold}  # nothing found is zero
    for metric in ir.iter_calc(list(wanted.values()), qrels, run) if run and qrels else ():
        values[metric.query_id][names[metric.measure]] = float(metric.value)
    return values


def _f1(case: Case, answer: Answered) -> Score | None:
    if not case.reference or not case.answerable:
        return None
    said, wanted = Counter(_words(answer.text)), Counter(_words(case.reference))
    common = (said & wanted).total()
    return (2 * common / (said.total() + wanted.total()) if common else 0.0, 1.0)


def _rouge(case: Case, answer: Answered) -> Score | None:
    if not case.reference or not case.answerable:
        return None
    score = _rouge_scorer().score(case.reference, _without_markers(answer.text))
    return (float(score["rougeL"].fmeasure), 1.0)


def _details(case: Case, answer: Answered) -> Score | None:
    if answer.abstained:
        return None
    wrong, all_of_them = unsupported(answer.text, "\n".join((case.question, *answer.evidence)))
    return (float(wrong), float(all_of_them)) if all_of_them else None


def _cited_gold(case: Case, answer: Answered) -> Score | None:
    cited = {citation.page for citation in answer.cited}
    return (float(len(cited & set(case.pages))), float(len(cited))) if cited and case.pages else None


def _gold_cited(case: Case, answer: Answered) -> Score | None:
    if not case.pages:
        return None
    cited = {citation.page for citation in answer.cited}
    return (float(bool(cited & set(case.pages))), 1.0)


def _citation_support(case: Case, answer: Answered) -> Score | None:  # noqa: ARG001
    evidence = {citation.number: answer.evidence[citation.passage] for citation in answer.cited}
    checked = [
        support(sentence, evidence[number]) >= SUPPORT
        for sentence in re.split(r"(?<=[.!?])\s+(?!\[)|\n", answer.text)
        for number in map(int, re.findall(r"\[(\d+)\]", sentence))
        if number in evidence
    ]
    return (float(sum(checked)), float(len(checked))) if checked else None


def _abstention_precision(case: Case, answer: Answered) -> Score | None:
    return (float(not case.answerable), 1.0) if answer.abstained else None


def _abstention_recall(case: Case, answer: Answered) -> Score | None:
    return None if case.answerable else (float(answer.abstained), 1.0)


def _items_said(case: Case, answer: Answered) -> Score | None:
    return _items(case, answer.text)


def _items_shown(case: Case, answer: Answered) -> Score | None:
    return _items(case, "\n".join(answer.evidence))


def _items(case: Case, text: str) -> Score | None:
    if not case.items:
        return None
    known = " ".join(_words(text))
    return (sum(f" {' '.join(_words(item))} " in f" {known} " for item in case.items) / len(case.items), 1.0)


ANSWERED: Mapping[Metric, AnswerScore] = {
    Metric("F1", "words shared with the reference answer"): _f1,
    Metric("ROUGE-L", "longest common sequence with the reference answer"): _rouge,
    Metric("unsupported", "numbers, identifiers and names that no retrieved passage holds", False): _details,
    Metric("citation precision", "cited pages that are gold"): _cited_gold,
    Metric("citation recall", "answers that cite a gold page"): _gold_cited,
    Metric("citation support", "cited sentences whose words the cited passage holds"): _citation_support,
    Metric("abstention precision", "abstentions that were right"): _abstention_precision,
    Metric("abstention recall", "unanswerable questions abstained from"): _abstention_recall,
    Metric("items said", "global questions: items of the gold list in the answer"): _items_said,
    Metric("items shown", "global questions: items of the gold list in the passages shown"): _items_shown,
}

COSTS: Mapping[Metric, Callable[[Answered], float | None]] = {
    Metric("first token ms", "from the question to the first word", False): lambda a: a.first_token_ms,
    Metric("total ms", "from the question to the end", False): lambda a: a.total_ms,
    Metric("prompt tokens", "estimated from characters", False): lambda a: float(a.prompt_tokens),
    Metric("answer tokens", "pieces streamed", False): lambda a: float(a.answer_tokens),
}


def answered(cases: Sequence[Case], records: Mapping[str, Record]) -> dict[str, dict[str, Score]]:
    """The answers' metrics, costs and a judge's scores of one arm's records: metric -> case -> score."""
    scores: dict[str, dict[str, Score]] = {}
    for case in cases:
        record = records.get(case.id)
        if record is None or record.answer is None:
            continue
        for metric, score in ANSWERED.items():
            if (value := score(case, record.answer)) is not None:
                scores.setdefault(metric.name, {})[case.id] = value
        for metric, cost in COSTS.items():
            if (amount := cost(record.answer)) is not None:
                scores.setdefault(metric.name, {})[case.id] = (amount, 1.0)
        for name, verdict in record.scores.items():
            scores.setdefault(name, {})[case.id] = (verdict, 1.0)
    return scores


def _words(text: str) -> list[str]:
    return re.findall(r"\w+(?:[.,:]\w+)*", _without_markers(text).lower())


def _without_markers(text: str) -> str:
    return re.sub(r"\[\d+\]", " ", text)


@cache
def _rouge_scorer() -> Any:
    return _library("rouge_score.rouge_scorer").RougeScorer(["rougeL"], use_stemmer=True)


def _library(name: str) -> Any:
    import importlib  # noqa: PLC0415

    try:
        return importlib.import_module(name)
    except ImportError as exc:
        raise EvaluationError("The metrics' libraries are missing: run `pip install 'promptai[evaluate]'`.") from exc
