"""The comparison's model server recognises what each system asks of it, in that system's own words."""

from __future__ import annotations

import pytest

from benchmarks.frameworks.replay import ANSWER, Kind, Replay, Unrecognised
from pipeline import prompts
from pipeline.types import Passage

QUESTIONS = {"short": "How do I start Ray?", "long": "How do I start Ray\non two nodes?", "other": "What is an actor?"}
DRAFTS = {"short": "With ray start. ", "long": "With --address.", "other": "A stateful worker."}
REPLAY = Replay(QUESTIONS, DRAFTS)
LLAMAINDEX_HYDE = (
    "Please write a passage to answer the question\nTry to include as many key details as possible.\n\n\n"
    '{question}\n\n\nPassage:"""\n'
)
LLAMAINDEX_ANSWER = (
    "Context information is below.\n---------------------\n{passages}\n---------------------\n"
    "Given the context information and not prior knowledge, answer the query.\nQuery: {question}\nAnswer: "
)
HAYSTACK_HYDE = (
    "Given a question, generate a paragraph of text that answers the question.    Question: {question}    Paragraph:"
)
HAYSTACK_ANSWER = (
    "\nGiven the following information, answer the question.\n\nContext:\n\n    {passages}\n\n\n"
    "Question: {question}\nAnswer:\n"
)


def ours(question: str, passages: str | None = None) -> str:
    messages = prompts.draft_messages(question)
    if passages is not None:
        messages = prompts.answer_messages(
            question, [Passage("p", "d", "shared", "page", "Page", ("Page",), passages, 0)]
        )
    return "\n".join(message.content for message in messages)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_draft_is_replayed_to_every_systems_prompt_for_one(question: str) -> None:
    text = QUESTIONS[question]
    for prompt in (ours(text), LLAMAINDEX_HYDE.format(question=text), HAYSTACK_HYDE.format(question=text)):
        reply = REPLAY.reply(prompt)
        assert (reply.question, reply.kind, reply.text) == (question, Kind.DRAFT, DRAFTS[question].strip())


@pytest.mark.parametrize("template", [None, LLAMAINDEX_ANSWER, HAYSTACK_ANSWER])
def test_a_prompt_with_passages_gets_the_answer_whatever_the_passages_say(template: str | None) -> None:
    passages = "Asked: What is an actor? Please write a passage to answer the question. How do I start Ray?"
    text = QUESTIONS["short"]
    reply = REPLAY.reply(template.format(passages=passages, question=text) if template else ours(text, passages))
    assert (reply.question, reply.kind, reply.text) == ("short", Kind.ANSWER, ANSWER)


@pytest.mark.parametrize("template", [LLAMAINDEX_HYDE, HAYSTACK_HYDE])
def test_the_whole_question_counts_where_another_is_its_beginning_or_end(template: str) -> None:
    replay = Replay({"end": "is an actor?", "whole": "What is an actor?"}, {"end": "no", "whole": "yes"})
    assert replay.reply(template.format(question="What is an actor?")).question == "whole"


def test_a_prompt_of_no_known_system_is_refused() -> None:
    with pytest.raises(Unrecognised, match="No known system"):
        REPLAY.reply("Write something about: How do I start Ray?")


def test_a_prompt_with_none_of_the_questions_is_refused() -> None:
    with pytest.raises(Unrecognised, match="None of the questions"):
        REPLAY.reply(HAYSTACK_HYDE.format(question="Who are you?"))
