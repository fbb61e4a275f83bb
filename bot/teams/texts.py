"""What the bot says in Teams when it does not answer: welcome, help, refusals. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence

from botbuilder.schema import Activity, CardAction, SuggestedActions

from bot.teams.activity import is_personal
from bot.teams.markdown import teams_markdown
from bot.teams.rendering import plain_message

EXAMPLES = 3
MAX_BUTTON_CHARS = 60
"""A longer question is no button; it stands in the text all the same."""


def welcome(reference: str, examples: Sequence[str]) -> Activity:
    """Said where the bot was added."""
    personal = is_personal(json.loads(reference))
    how = "Ask me here in your own words" if personal else "Mention me and ask in your own words"
    text = (
        "Hello! I answer questions from the documentation, and I show where each answer comes from.\n\n"
        f"{how}{', for example:' if examples else '.'}\n\n{_list(examples)}"
        "A thumbs up or down on an answer tells us how good it was. Write *help* to read more."
    )
    return _with_buttons(plain_message(text), examples) if personal else plain_message(text)


def help_text(reference: str, examples: Sequence[str]) -> Activity:
    """The answer to `help`."""
    personal = is_personal(json.loads(reference))
    where = "Write to me here" if personal else "Mention me"
    follow = "A follow-up needs no repetition: I know what we talked about here."
    text = (
        f"{where} and ask about the documentation. I name my sources; where the documentation does not say, "
        f"I say so. {follow}\n\n"
        f"{'For example:' if examples else ''}\n\n{_list(examples)}"
        "- **help**: this text\n"
        "- **clear my ratings**: takes back every thumb you have given me\n\n"
        "Answers are generated and can be wrong: check the sources before you rely on them."
    )
    return plain_message(text.replace("\n\n\n\n", "\n\n"))


def cleared(count: int) -> Activity:
    """The answer to `clear my ratings`."""
    if not count:
        return plain_message("You have no ratings that could be taken back.")
    return plain_message(f"Done: I have taken back your {'rating' if count == 1 else f'{count} ratings'}.")


def refusal(entra_tenant: str) -> Activity:
    """Said to people of an organisation that is nobody's tenant."""
    known = f" Its Entra tenant id is `{teams_markdown(entra_tenant)}`." if entra_tenant else ""
    return plain_message(
        "I am sorry, I cannot answer here: your organisation has not been set up with me yet. "
        f"Please ask the people who run this bot to add it.{known}"
    )


def _list(examples: Sequence[str]) -> str:
    lines = [f"- {teams_markdown(' '.join(example.split()))}" for example in examples]
    return "\n".join(lines) + "\n\n" if lines else ""


def _with_buttons(message: Activity, examples: Sequence[str]) -> Activity:
    """A click asks the question."""
    short = [example for example in examples if len(example) <= MAX_BUTTON_CHARS]
    if short:
        buttons = [CardAction(type="imBack", title=example, value=example) for example in short]
        message.suggested_actions = SuggestedActions(to=[], actions=buttons)
    return message
