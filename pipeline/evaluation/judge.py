"""An LLM's opinion of an answer, through `ChatModel`. What cannot be read as a verdict is no score, never a zero."""

from __future__ import annotations

import re
from dataclasses import replace

from pipeline.errors import ModelError
from pipeline.evaluation.cases import Case
from pipeline.evaluation.records import Record
from pipeline.llm import ChatModel, Message, complete

PREFIX = "judge "
"""Begins the metric's name, which ends with the judge's; 0 to 1."""
TOP = 5
_TOKENS = 200

INSTRUCTIONS = (
    "You compare an answer with a reference answer to the same question. Judge only whether it says what the reference "
    f"says and nothing that contradicts it; style and length do not count. End with a line `SCORE: n`, n from 1 to {TOP}: "
    f"{TOP} says all of it, 1 says none of it or contradicts it."
)

_VERDICT = re.compile(r"^\W*SCORE\W*:\W*([1-5])(?!\d|[.,/]\d)", re.MULTILINE | re.IGNORECASE)


async def judged(record: Record, case: Case, judge: ChatModel) -> Record:
    """The record with the judge's score, 0 to 1; without it where nothing was to be judged or the verdict is unreadable."""
    wanted = record.answer is not None and case.reference and case.answerable
    if record.answer is None or not wanted or PREFIX + judge.name in record.scores:
        return record
    told = f"Question: {case.question}\n\nReference answer: {case.reference}\n\nAnswer: {record.answer.text}"
    try:
        said = await complete(judge, [Message("system", INSTRUCTIONS), Message("user", told)], max_tokens=_TOKENS)
    except ModelError:
        return record
    verdict = read_verdict(said)
    return record if verdict is None else replace(record, scores={**record.scores, PREFIX + judge.name: verdict})


def read_verdict(text: str) -> float | None:
    """The last verdict of `text` as 0 to 1; None where there is none."""
    found = _VERDICT.findall(text)
    return (int(found[-1]) - 1) / (TOP - 1) if found else None
