"""A follow-up is made a question of its own before anything is searched."""

from __future__ import annotations

import re
from collections.abc import Sequence

import structlog

from pipeline import prompts
from pipeline.errors import ModelError
from pipeline.llm import ChatModel, complete
from pipeline.trace import Run
from pipeline.types import Turn

log = structlog.get_logger(__name__)

_TOKENS = 80


async def standalone(rewriter: ChatModel, question: str, history: Sequence[Turn], run: Run) -> str:
    """The question as it would be asked without the thread. A model that cannot rewrite costs nothing but time."""
    if not history:
        return question
    fallback = f"{prompts.shorten(history[-1].question, 500)}\n{question}"
    messages = prompts.standalone_messages(question, history)
    try:
        rewritten = await complete(rewriter, messages, max_tokens=_TOKENS, stop=("\n",))
    except ModelError as error:
        log.warning("rewrite_failed", error=str(error))
        return fallback
    run.asked(rewriter)
    rewritten = rewritten.strip().strip('"')
    return rewritten if _is_rewriting(rewritten, question) else fallback


def _is_rewriting(rewritten: str, question: str) -> bool:
    """A usable rewriting keeps the follow-up's own words, is not much longer and is no answer."""
    kept = set(re.findall(r"\w{4,}", question.lower()))
    words = set(re.findall(r"\w{4,}", rewritten.lower()))
    return 0 < len(rewritten) <= 2 * len(question) + 200 and len(kept & words) * 2 >= len(kept) and words > set()
