"""Slack payloads become questions, ratings, or nothing for a stated reason."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bot.messages import Platform, Question, Rating, Vote, Way
from bot.slack.attachments import described
from bot.slack.incoming import BotIdentity, Ignored, button_value, read_button, read_event
from tests.fakes.slack_api import BOT_ID, BOT_USER, CHANNEL, DIRECT, TEAM, event

ME = BotIdentity(BOT_USER, BOT_ID, TEAM)
TS = "1700000000.000100"
ALICE = "U1ALICE"


def read(inner: dict[str, Any], **changes: Any) -> Question | Rating | Ignored:
    return read_event(event({**inner, **changes}), me=ME, tenant="acme")


def question(inner: dict[str, Any], **changes: Any) -> Question:
    result = read(inner, **changes)
    assert isinstance(result, Question), result
    return result


def reason(inner: dict[str, Any], **changes: Any) -> str:
    result = read(inner, **changes)
    assert isinstance(result, Ignored), result
    return result.reason


MENTION: dict[str, Any] = {
    "type": "app_mention",
    "user": ALICE,
    "text": f"<@{BOT_USER}> how long?",
    "ts": TS,
    "channel": CHANNEL,
}
MESSAGE = {**MENTION, "type": "message", "channel_type": "channel"}
DIRECT_MESSAGE = {**MESSAGE, "channel": DIRECT, "channel_type": "im", "text": "how long?"}
REACTION: dict[str, Any] = {
    "type": "reaction_added",
    "user": ALICE,
    "reaction": "+1",
    "item": {"type": "message", "channel": CHANNEL, "ts": TS},
    "event_ts": "1700000001.000200",
}


def test_a_mention_in_a_channel_is_a_question_whose_thread_begins_with_it() -> None:
    asked = question(MENTION)
    assert (asked.platform, asked.tenant, asked.conversation) == (Platform.SLACK, "acme", CHANNEL)
    assert (asked.thread, asked.message_id, asked.text) == (TS, TS, "how long?")
    assert (asked.person.id, asked.person.team) == (ALICE, TEAM)
    assert asked.asked_at == datetime(2023, 11, 14, 22, 13, 20, 100, tzinfo=UTC)


def test_a_follow_up_belongs_to_the_thread_it_was_asked_in() -> None:
    assert question(MENTION, thread_ts="1699999999.000001").thread == "1699999999.000001"


def test_the_same_mention_as_app_mention_and_as_message_is_the_same_question() -> None:
    assert question(MENTION).id == question(MESSAGE).id


def test_a_direct_message_is_a_question_without_a_mention() -> None:
    asked = question(DIRECT_MESSAGE)
    assert (asked.text, asked.conversation, asked.thread) == ("how long?", DIRECT, TS)


def test_a_direct_message_in_a_thread_stays_there() -> None:
    assert question(DIRECT_MESSAGE, thread_ts="1699999999.000001").thread == "1699999999.000001"


@pytest.mark.parametrize("text", ["", None, f"<@{BOT_USER}>", f" <@{BOT_USER}> "])
def test_a_mention_without_words_is_an_empty_question(text: str | None) -> None:
    assert question(MENTION, text=text).text == ""


def test_a_file_without_words_is_an_empty_question_that_counts_its_files() -> None:
    asked = question(DIRECT_MESSAGE, text="", subtype="file_share", files=[{"id": "F1"}])
    assert (asked.text, asked.address["files"]) == ("", described([{"id": "F1"}]))


def test_a_reply_that_was_also_sent_to_the_channel_is_a_question() -> None:
    assert question(DIRECT_MESSAGE, subtype="thread_broadcast", thread_ts="1699999999.000001").text == "how long?"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"user": BOT_USER}, "own message"),
        ({"bot_id": BOT_ID}, "own message"),
        ({"bot_id": "B9OTHER"}, "another bot"),
        ({"subtype": "bot_message", "user": None}, "another bot"),
        ({"user": "USLACKBOT"}, "another bot"),
        ({"subtype": "channel_join"}, "subtype channel_join"),
        ({"subtype": "message_deleted", "deleted_ts": TS}, "subtype message_deleted"),
        ({"ts": "yesterday"}, "without ts"),
        ({"ts": None}, "without ts"),
        ({"channel": None}, "without ts, channel or user"),
        ({"user": None}, "without ts, channel or user"),
    ],
)
def test_what_no_person_asks_is_ignored(changes: dict[str, Any], why: str) -> None:
    assert why in reason(DIRECT_MESSAGE, **changes)
    assert why in reason(MESSAGE, **changes)


def test_another_bot_that_mentions_us_gets_no_answer() -> None:
    assert "another bot" in reason(MENTION, bot_id="B9OTHER")


def test_a_channel_message_that_mentions_nobody_is_none_of_our_business() -> None:
    assert "does not mention" in reason(MESSAGE, text="how long?")


def edit(before: str, after: str, **outer: Any) -> dict[str, Any]:
    person = {"type": "message", "user": ALICE, "ts": TS}
    return {
        "type": "message",
        "subtype": "message_changed",
        "channel": CHANNEL,
        "channel_type": "channel",
        "message": {**person, "text": after, "edited": {"user": ALICE, "ts": "1700000009.000000"}},
        "previous_message": {**person, "text": before},
        "ts": "1700000009.000100",
        **outer,
    }


def test_an_edit_that_adds_the_mention_is_a_question_under_the_message_s_own_id() -> None:
    assert question(edit("how long?", f"<@{BOT_USER}> how long?")).id == question(MENTION).id


def test_an_app_mention_for_an_edit_is_the_same_question() -> None:
    assert question(MENTION, edited={"user": ALICE, "ts": "1700000009.000000"}).id == question(MENTION).id


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (edit(f"<@{BOT_USER}> how lnog?", f"<@{BOT_USER}> how long?"), "adds no mention"),
        (edit("how lnog?", "how long?"), "adds no mention"),
        (edit("how lnog?", "how long?", channel_type="im", channel=DIRECT), "direct message"),
        ({"type": "message", "subtype": "message_changed", "channel": CHANNEL}, "adds no mention"),
    ],
)
def test_other_edits_ask_nothing_new(payload: dict[str, Any], why: str) -> None:
    assert why in reason(payload)


def test_an_edit_of_the_bot_s_own_message_is_ignored() -> None:
    payload = edit("x", f"<@{BOT_USER}> y")
    payload["message"]["bot_id"] = BOT_ID
    assert "own message" in reason(payload)


@pytest.mark.parametrize(
    ("reaction", "vote"),
    [
        ("+1", Vote.UP),
        ("thumbsup", Vote.UP),
        ("-1", Vote.DOWN),
        ("thumbsdown", Vote.DOWN),
        ("+1::skin-tone-2", Vote.UP),
        ("-1::skin-tone-6", Vote.DOWN),
        ("thumbsdown::skin-tone-4", Vote.DOWN),
    ],
)
def test_a_thumb_of_any_name_and_tone_is_a_vote(reaction: str, vote: Vote) -> None:
    rating = read(REACTION, reaction=reaction)
    assert isinstance(rating, Rating)
    assert (rating.vote, rating.gesture, rating.removed, rating.way) == (vote, reaction, False, Way.REACTION)
    assert (rating.conversation, rating.reply_id, rating.person.id) == (CHANNEL, TS, ALICE)
    assert rating.at == datetime(2023, 11, 14, 22, 13, 21, 200, tzinfo=UTC)


def test_a_removed_reaction_takes_the_gesture_back() -> None:
    rating = read(REACTION, type="reaction_removed")
    assert isinstance(rating, Rating)
    assert rating.removed


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"reaction": "tada"}, "no vote"),
        ({"reaction": ""}, "no vote"),
        ({"user": BOT_USER}, "own reaction"),
        ({"item": {"type": "file", "file": "F1"}}, "no message"),
        ({"item": None}, "no message"),
        ({"event_ts": None}, "event_ts"),
        ({"user": None}, "user"),
    ],
)
def test_other_reactions_rate_nothing(changes: dict[str, Any], why: str) -> None:
    assert why in reason(REACTION, **changes)


@pytest.mark.parametrize("body", [{}, {"event": None}, {"event": []}, {"event": {"type": 7}}, {"event": {"type": "x"}}])
def test_a_body_of_another_shape_is_ignored(body: dict[str, Any]) -> None:
    assert isinstance(read_event(body, me=ME, tenant="acme"), Ignored)


CLICK: dict[str, Any] = {
    "type": "block_actions",
    "user": {"id": ALICE, "name": "alice", "team_id": TEAM},
    "team": {"id": TEAM},
    "channel": {"id": CHANNEL},
    "message": {"ts": "1700000005.000100"},
    "container": {"message_ts": "1700000005.000100", "channel_id": CHANNEL},
    "actions": [{"action_id": "promptai_feedback", "value": button_value(Vote.DOWN, TS), "action_ts": "1700000009.5"}],
}


def test_a_click_rates_the_reply_that_its_value_names() -> None:
    rating = read_button(CLICK, tenant="acme")
    assert isinstance(rating, Rating)
    assert (rating.vote, rating.reply_id, rating.way, rating.gesture) == (Vote.DOWN, TS, Way.BUTTON, "button")
    assert (rating.person.id, rating.person.name, rating.conversation) == (ALICE, "alice", CHANNEL)
    assert rating.at == datetime(2023, 11, 14, 22, 13, 29, 500_000, tzinfo=UTC)


def test_a_click_whose_value_names_no_reply_rates_the_message_it_is_under() -> None:
    rating = read_button({**CLICK, "actions": [{**CLICK["actions"][0], "value": "up"}]}, tenant="acme")
    assert isinstance(rating, Rating)
    assert (rating.vote, rating.reply_id) == (Vote.UP, "1700000005.000100")


@pytest.mark.parametrize(
    "changes",
    [
        {"actions": []},
        {"actions": None},
        {"actions": [{"value": "sideways", "action_ts": "1.0"}]},
        {"actions": [{"value": "up", "action_ts": "now"}]},
        {"user": {}},
        {"channel": None, "container": None},
    ],
)
def test_a_click_that_says_nothing_is_ignored(changes: dict[str, Any]) -> None:
    assert isinstance(read_button({**CLICK, **changes}, tenant="acme"), Ignored)


def test_a_voter_is_the_same_person_by_reaction_and_by_button() -> None:
    by_reaction, by_button = read(REACTION), read_button(CLICK, tenant="acme")
    assert isinstance(by_reaction, Rating)
    assert isinstance(by_button, Rating)
    assert (by_reaction.person.id, by_reaction.person.team) == (by_button.person.id, by_button.person.team)
