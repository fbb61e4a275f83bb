"""Slack's message syntax becomes readable text, and text becomes inert."""

from __future__ import annotations

import pytest

from bot.slack.text import escape, mentions, readable


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("<@U0BOT> how long?", "how long?"),
        ("<@U0BOT>, how long?", "how long?"),
        ("<@U0BOT|promptai>: how long?", "how long?"),
        ("  <@U0BOT> <@U0BOT>  how long?", "how long?"),
        ("Dear <@U0BOT> how long <@U0BOT>?", "Dear how long?"),
        ("<@U0BOT>", ""),
        (" <@U0BOT>  <@U0BOT> ", ""),
        ("", ""),
    ],
)
def test_mentions_of_the_bot_are_left_out_wherever_they_stand(raw: str, shown: str) -> None:
    assert readable(raw, bot_user_id="U0BOT") == shown


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("see <https://x.example/a>", "see https://x.example/a"),
        ("see <https://x.example/a|the page>", "see the page (https://x.example/a)"),
        ("see <http://x.example|x.example>", "see x.example"),
        ("mail <mailto:a@b.example|a@b.example>", "mail a@b.example"),
        ("ask <@U1ALICE> and <@U2BOB|bob>", "ask @U1ALICE and @bob"),
        ("in <#C1|general> or <#C2>", "in #general or #C2"),
        ("<!here> <!channel> <!subteam^S1|@support> <!subteam^S2>", "@here @channel @support @S2"),
        ("<!date^1392734382^{date}|Feb 18>", "Feb 18"),
        ("a &lt; b &amp;&amp; c &gt; d", "a < b && c > d"),
        ("&amp;lt;", "&lt;"),
        ("&lt;@U0BOT&gt;", "<@U0BOT>"),
    ],
)
def test_links_mentions_and_escapes_become_what_the_person_sees(raw: str, shown: str) -> None:
    assert readable(raw, bot_user_id="U0BOT") == shown


@pytest.mark.parametrize(
    "text",
    [
        "\N{ROCKET} 🧑🏽\u200d🚀 שלום, מה זה? \u200f(כן)",
        "```\nif a:\n    b()\n```",
        "x" * 40_000,
        "line\n\n\tindented\n",
        "< <",
    ],
    ids=["emoji-and-rtl", "code", "40000", "whitespace", "stray"],
)
def test_everything_else_passes_intact(text: str) -> None:
    assert readable(f"<@U0BOT> {escape(text)}", bot_user_id="U0BOT") == text.strip()


def test_40000_brackets_are_read_in_no_time() -> None:
    assert len(readable("<" * 40_000, bot_user_id="U0BOT")) == 40_000


def test_escaped_text_cannot_mention_link_or_command() -> None:
    assert escape("<!channel> & <@U1|x>") == "&lt;!channel&gt; &amp; &lt;@U1|x&gt;"


def test_a_mention_is_seen_with_and_without_a_label() -> None:
    assert mentions("hey <@U0BOT>", "U0BOT")
    assert mentions("hey <@U0BOT|bot>", "U0BOT")
    assert not mentions("hey <@U0BOTTOM> U0BOT", "U0BOT")
