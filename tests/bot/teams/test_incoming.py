"""Activities as Teams sends them -> questions, ratings, or a reason why nothing is done."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.messages import Platform, Question, Rating, Vote, Way
from bot.teams.events import Command, Ignored, Incoming, MalformedActivity, Rated, Welcome, Wish
from bot.teams.incoming import read_activity
from tests.fakes.teams_activities import (
    ADA,
    BOT,
    CHANNEL_ID,
    SERVICE_URL,
    activity,
    channel,
    channel_message,
    feedback,
    mention,
    message,
    reaction,
)

NOW = datetime(2026, 5, 6, tzinfo=UTC)


def read(payload: Any) -> Incoming:
    return read_activity(payload, tenant="acme", now=NOW)


def question(payload: Any) -> Question:
    read_as = read(payload)
    assert isinstance(read_as, Question)
    return read_as


def ratings(payload: Any) -> tuple[Rating, ...]:
    read_as = read(payload)
    assert isinstance(read_as, Rated)
    return read_as.ratings


def reason(payload: Any) -> str:
    read_as = read(payload)
    assert isinstance(read_as, Ignored)
    return read_as.reason


def test_a_direct_message_is_a_question_with_everything_a_reply_needs() -> None:
    """Who, where, what, when."""
    asked = question(message("What is it?"))
    assert (asked.tenant, asked.platform, asked.text) == ("acme", Platform.TEAMS, "What is it?")
    assert (asked.conversation, asked.thread, asked.message_id) == ("a:chat-1", "a:chat-1", "1700000000001")
    assert (asked.person.id, asked.person.name, asked.person.team) == ("aad-ada", "Ada Lovelace", "tenant-1")
    assert asked.asked_at == datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)
    reference = json.loads(asked.address["reference"])
    assert reference["serviceUrl"] == SERVICE_URL
    assert reference["conversation"]["id"] == "a:chat-1"
    assert reference["bot"] == BOT
    assert reference["user"]["id"] == ADA["id"]
    assert reference["channelId"] == "msteams"


def test_a_channel_mention_is_a_question_in_its_thread() -> None:
    """The conversation is the channel, the thread its first message; the mention is gone from the text."""
    asked = question(channel_message("What is it?", root="17"))
    assert asked.text == "What is it?"
    assert asked.conversation == CHANNEL_ID
    assert asked.thread == f"{CHANNEL_ID};messageid=17"
    assert json.loads(asked.address["reference"])["conversation"]["id"] == asked.thread


def test_follow_ups_share_a_thread_with_what_they_follow() -> None:
    """In a channel thread and in a personal chat."""
    first, second = (question(channel_message("x", root="17", id=i)) for i in ("17", "18"))
    assert (first.conversation, first.thread) == (second.conversation, second.thread)
    assert first.id != second.id
    one, two = (question(message("x", id=i)) for i in ("1", "2"))
    assert (one.conversation, one.thread) == (two.conversation, two.thread)


def test_a_group_chat_mention_is_a_question() -> None:
    """Group chats have no threads."""
    asked = question(
        channel_message("hi", conversation={"id": "19:g", "conversationType": "groupChat", "isGroup": True})
    )
    assert (asked.text, asked.conversation, asked.thread) == ("hi", "19:g", "19:g")


def test_a_redelivered_activity_is_the_same_question() -> None:
    """Its id depends on what was asked where, not on when it came."""
    later = message("What is it?") | {"timestamp": "2026-01-02T03:09:00Z"}
    assert question(message("What is it?")).id == question(later).id


@pytest.mark.parametrize("payload", [channel_message("x", entities=[]), channel_message("x", entities=None)])
def test_outside_personal_chats_only_mentions_are_questions(payload: Any) -> None:
    """An app may be allowed to read a whole channel; that does not make everything a question."""
    assert reason(payload) == "does not mention the bot"


def test_somebody_elses_mention_is_no_mention_of_the_bot() -> None:
    """Bob is not the bot."""
    bob = mention("Bob", {"id": "29:bob", "name": "Bob"})
    assert reason(channel_message("x", entities=[bob])) == "does not mention the bot"


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("<at>promptai</at> What is it?", "What is it?"),
        ("Hi <at>promptai</at>, what is it?", "Hi, what is it?"),
        ("What is it, <at>promptai</at>", "What is it,"),
        ("<at>promptai</at>&nbsp;What is it?", "What is it?"),
        ("<at>promptai</at>\xa0What is it?\r\n", "What is it?"),
        ('<at id="0">promptai</at> What is it?', "What is it?"),
        ("<at>promptai</at><at>promptai</at> twice", "twice"),
        ("<at>promptai</at> ask <at>Bob</at> too", "ask Bob too"),
        ("<at>promptai</at>", ""),
        ("<at>promptai</at> ", ""),
        ("", ""),
        ("<at>promptai</at> emoji 🙂🙂 and عربي", "emoji 🙂🙂 and عربي"),
        ("<at>promptai</at> if a < b and b > c: `x`", "if a < b and b > c: `x`"),
        ("<at>promptai</at> ```\nfor <T> in x\n```", "```\nfor <T> in x\n```"),
        ("half a pair \ud83d", "half a pair \N{REPLACEMENT CHARACTER}"),
    ],
)
def test_what_is_left_of_the_text(text: str, asked: str) -> None:
    """The bot's mention goes, other names stay, nothing else changes."""
    bob = mention("Bob", {"id": "29:bob", "name": "Bob"})
    assert question(channel_message("") | {"text": text, "entities": [mention(), bob]}).text == asked


@pytest.mark.parametrize(
    ("html", "asked"),
    [
        ('<div><at id="0">promptai</at>&nbsp;What <b>is</b> it?</div>', "What is it?"),
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ("<div>a &lt;b&gt; c</div>", "a <b> c"),
        ("<ul><li>one</li><li>two</li></ul>", "- one\n- two"),
        ("<div>x<script>alert(1)</script><style>p{}</style></div>", "x"),
        ('<div>nice <img alt="🙂" src="http://t/1.png"></div>', "nice 🙂"),
        ("<div>never closed <b>bold", "never closed bold"),
    ],
)
def test_an_html_body_becomes_text(html: str, asked: str) -> None:
    """Whether it is declared, attached as the only body, or simply there."""
    entities = [mention()]
    assert question(message(html, entities=entities) | {"textFormat": "xml"}).text == asked
    copy = [{"contentType": "text/html", "content": html}]
    assert question(message("", entities=entities, attachments=copy)).text == asked
    bare = message(html, entities=entities)
    del bare["textFormat"]
    if html.startswith(("<div", "<p")):
        assert question(bare).text == asked


def test_html_that_somebody_asks_about_stays() -> None:
    """Plain text is plain text."""
    assert question(message("<div>x</div> is shown as text, why?")).text == "<div>x</div> is shown as text, why?"


def test_a_file_without_text_is_an_empty_question_that_says_so() -> None:
    """The reply explains how to ask; Teams' HTML copy of a text is no file."""
    file = {"contentType": "application/vnd.microsoft.teams.file.download.info", "name": "a.pdf"}
    asked = question(message("", attachments=[file]))
    assert (asked.text, asked.address["files"]) == ("", "1")
    copied = question(message("Hi", attachments=[{"contentType": "text/html", "content": "<p>Hi</p>"}]))
    assert "files" not in copied.address


def test_a_very_long_question_arrives_whole() -> None:
    """The conversation cuts it and says so."""
    assert len(question(message("x" * 40_000)).text) == 40_000


@pytest.mark.parametrize(
    ("sender", "why"),
    [(BOT, "sent by a bot"), ({"id": "28:another"}, "sent by a bot"), ({"id": "29:x", "role": "bot"}, "sent by a bot")],
)
def test_bots_are_not_answered(sender: dict[str, Any], why: str) -> None:
    """Neither the bot itself nor others: two bots could talk forever."""
    assert reason(message("What is it?") | {"from": sender}) == why


@pytest.mark.parametrize("kind", ["messageUpdate", "messageDelete", "typing", "installationUpdate", "event", "🙂"])
def test_other_activities_are_ignored_with_a_reason(kind: str) -> None:
    """Also edits and deletions."""
    assert kind in reason(activity(kind, text="What is it?"))


def test_other_channels_are_ignored() -> None:
    """An Azure Bot has Web Chat switched on by default, where anybody may write."""
    assert "webchat" in reason(message("What is it?", channelId="webchat"))


def test_a_submitted_card_is_ignored() -> None:
    """The bot sends no cards."""
    assert "card" in reason(message("", value={"x": 1}))


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"type": "message"},
        {"conversation": {"id": "x"}},
        {"type": 5, "conversation": {"id": "x"}},
        {"type": "message", "conversation": "x"},
        message("x") | {"conversation": {"id": ""}},
        message("x") | {"id": None},
        message("x") | {"from": None},
        reaction("r", added=("like",)) | {"from": {}},
    ],
)
def test_what_is_no_activity_is_refused(payload: Any) -> None:
    """The HTTP status is 400."""
    with pytest.raises(MalformedActivity):
        read(payload)


@pytest.mark.parametrize(
    "odd",
    [
        {"text": 5},
        {"text": None},
        {"entities": "x"},
        {"entities": [None, 3, {"type": "mention"}, {"type": "mention", "mentioned": "x", "text": 4}]},
        {"attachments": [None, {"contentType": 7}]},
        {"channelData": []},
        {"timestamp": "yesterday"},
        {"timestamp": 3},
        {"textFormat": {}},
        {"recipient": None},
    ],
)
def test_odd_fields_do_not_stop_a_question(odd: dict[str, Any]) -> None:
    """They count as missing."""
    assert question(message("What is it?") | odd).message_id == "1700000000001"


def test_without_a_time_it_is_now() -> None:
    """Naive times are UTC."""
    assert question(message("x", timestamp=None)).asked_at == NOW
    assert question(message("x", timestamp="2026-01-02T03:04:05")).asked_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "vote"),
    [
        ("like", Vote.UP),
        ("like-tone1", Vote.UP),
        ("like-tone5", Vote.UP),
        ("yes", Vote.UP),
        ("yes-tone3", Vote.UP),
        ("no", Vote.DOWN),
        ("no-tone2", Vote.DOWN),
    ],
)
def test_a_thumb_is_a_vote(kind: str, vote: Vote) -> None:
    """Whatever its skin tone; the gesture keeps it, so that removing finds it again."""
    [given] = ratings(reaction("reply-1", added=(kind,)))
    assert (given.vote, given.gesture, given.removed, given.way) == (vote, kind, False, Way.REACTION)
    assert (given.reply_id, given.conversation, given.person.id, given.tenant) == (
        "reply-1",
        "a:chat-1",
        "aad-ada",
        "acme",
    )
    [taken] = ratings(reaction("reply-1", removed=(kind,)))
    assert (taken.vote, taken.gesture, taken.removed) == (vote, kind, True)


@pytest.mark.parametrize("kind", ["heart", "laugh", "surprised", "sad", "angry", "dislike", "nope", "", 5])
def test_other_reactions_are_no_vote(kind: Any) -> None:
    """A laugh is not a judgement."""
    assert reason(reaction("reply-1", added=(kind,))) == "a reaction that is no vote"


def test_several_reactions_in_one_activity_are_all_read_removals_first() -> None:
    """Changing one's mind is one activity."""
    given = ratings(reaction("r", added=("no", "heart"), removed=("like", "sad")))
    assert [(rating.gesture, rating.removed) for rating in given] == [("like", True), ("no", False)]


def test_a_reaction_in_a_channel_thread_is_in_the_conversation_of_its_question() -> None:
    """Otherwise the answer would not be found."""
    asked = question(channel_message("x", root="17"))
    [given] = ratings(reaction("r", added=("like",), conversation=channel("17")))
    assert given.conversation == asked.conversation
    assert given.person.id == asked.person.id


def test_a_reaction_that_names_no_message_is_ignored() -> None:
    """Nothing is guessed."""
    assert "names no message" in reason(reaction(None, added=("like",)))


@pytest.mark.parametrize(
    ("text", "comment"),
    [
        ('{"feedbackText": "Too short"}', "Too short"),
        ({"feedbackText": "Too short"}, "Too short"),
        ("Too short", "Too short"),
        ('{"feedbackText": ""}', None),
        ("{}", None),
        ("{not json", "{not json"),
        ('"quoted"', '"quoted"'),
        ("", None),
        ("  ", None),
        (None, None),
        (7, None),
        ("x" * 9_000, "x" * 4_000),
    ],
)
def test_feedback_carries_a_comment(text: Any, comment: str | None) -> None:
    """A JSON string in Teams, plain text in the Playground."""
    [given] = ratings(feedback("reply-1", "dislike", text))
    assert (given.vote, given.comment, given.way, given.removed) == (Vote.DOWN, comment, Way.BUTTON, False)


def test_both_buttons_are_one_gesture() -> None:
    """So that the later click replaces the earlier one."""
    [up], [down] = ratings(feedback("r", "like")), ratings(feedback("r", "dislike"))
    assert up.gesture == down.gesture
    assert (up.vote, down.vote) == (Vote.UP, Vote.DOWN)


def test_feedback_without_a_message_means_the_only_answer_of_a_personal_chat() -> None:
    """The Playground's page leaves it out; the store finds the answer, or none if there are several."""
    [given] = ratings(feedback(None, "like"))
    assert given.reply_id == ""


def test_feedback_without_a_message_among_several_people_is_ignored_with_200() -> None:
    """It could mean anybody's answer."""
    ignored = read(feedback(None, "like", conversation=channel()))
    assert isinstance(ignored, Ignored)
    assert ignored.status == 200


@pytest.mark.parametrize("text", ["help", "Help!", " /help ", "HELP?", "help."])
def test_help_is_a_command(text: str) -> None:
    """However it is written."""
    asked = read(message(text))
    assert isinstance(asked, Command)
    assert (asked.wish, asked.person.id, asked.message_id) == (Wish.HELP, "aad-ada", "1700000000001")
    assert json.loads(asked.reference)["conversation"]["id"] == "a:chat-1"


@pytest.mark.parametrize("text", ["clear my ratings", "Clear my ratings!", "/clear  my\nratings"])
def test_clear_my_ratings_is_a_command(text: str) -> None:
    """In a channel too, where it mentions the bot."""
    for asked in (read(message(text)), read(channel_message(text))):
        assert isinstance(asked, Command)
        assert asked.wish is Wish.CLEAR


@pytest.mark.parametrize("text", ["help me with exports", "how do I clear my ratings?", "clear", "?"])
def test_other_words_are_questions(text: str) -> None:
    """Nobody loses a question to a command."""
    assert question(message(text)).text == text


def test_a_command_that_does_not_mention_the_bot_is_ignored_in_a_channel() -> None:
    """People say help to each other."""
    assert reason(channel_message("help", entities=[])) == "does not mention the bot"


@pytest.mark.parametrize("change", [{"name": "task/fetch"}, {"name": None}, {"value": None}, {"value": {"x": 1}}])
def test_other_invokes_are_not_implemented(change: dict[str, Any]) -> None:
    """501 is what Teams expects then."""
    ignored = read(feedback("r", "like") | change)
    assert isinstance(ignored, Ignored)
    assert ignored.status == 501


def test_feedback_that_is_no_vote_is_ignored() -> None:
    """Neither like nor dislike."""
    assert "no vote" in reason(feedback("r", "meh"))


def test_being_added_is_a_reason_to_say_hello() -> None:
    """To the chat, with all that a message there needs."""
    added = read(activity("conversationUpdate", membersAdded=[ADA, BOT]))
    assert isinstance(added, Welcome)
    assert json.loads(added.reference)["serviceUrl"] == SERVICE_URL


@pytest.mark.parametrize("members", [[ADA], [], None, "x", [None]])
def test_other_members_are_not_greeted(members: Any) -> None:
    """A team of thousands would be greeted thousands of times."""
    assert "not added" in reason(activity("conversationUpdate", membersAdded=members))
