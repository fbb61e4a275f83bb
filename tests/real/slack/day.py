"""A scripted day in a workspace: 30 people in 8 channels ask, ask on, react, change their minds, edit and delete.

What each person will do is drawn before the day begins, from a seed; what must be so in the evening follows from it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tests.real.slack.local_slack import BOT, LocalSlack

PEOPLE = tuple(f"U{number:02d}DAY" for number in range(30))
CHANNELS = tuple(f"C{number:02d}DAY" for number in range(8))
"""The last two are private."""

QUESTIONS = 300

Json = dict[str, Any]


class Way(StrEnum):
    """How a question is asked."""

    MENTION = "mention"
    FOLLOW_UP = "follow-up"
    DIRECT = "direct"
    EDIT = "edit"
    """The mention is added to a message that was there."""


@dataclass(frozen=True, slots=True)
class Vote:
    """What somebody does with the thumbs, and what counts afterwards."""

    gestures: tuple[str, ...]
    """Reactions in order; `-name` takes one back, `button up` and `button down` are clicks."""
    counts: str | None
    """`up`, `down`, or None for no vote."""


VOTES = (
    Vote(("+1",), "up"),
    Vote(("-1",), "down"),
    Vote(("thumbsup::skin-tone-4",), "up"),
    Vote(("tada",), None),
    Vote(("+1", "-+1"), None),
    Vote(("+1", "-1"), "down"),
    Vote(("+1", "-1", "-+1"), "down"),
    Vote(("+1", "-1", "--1"), "up"),
    Vote(("-1", "--1", "thumbsup::skin-tone-2"), "up"),
    Vote(("+1", "-+1", "+1", "-+1"), None),
    Vote(("button up",), "up"),
    Vote(("button up", "button down"), "down"),
    Vote(("button down", "+1"), "up"),
)


@dataclass(frozen=True, slots=True)
class Ask:
    """A question that somebody will ask."""

    number: int
    person: str
    channel: str
    """A channel, or the person's own id for a direct message."""
    way: Way
    votes: tuple[tuple[str, Vote], ...]
    """Who votes how."""
    edited: bool
    """The text is changed after the answer: no reason to answer again."""
    deleted: bool
    """The person deletes the message after the answer."""

    @property
    def token(self) -> str:
        """Occurs in this question and in the reply to it, and nowhere else."""
        return f"q{self.number:03d}x"


@dataclass
class Asked:
    """What became of it."""

    ask: Ask
    message: Json
    reply: Json


def plan(seed: int, questions: int = QUESTIONS) -> dict[str, list[Ask]]:
    """Person -> what they will ask, in order."""
    chance = random.Random(seed)
    plans: dict[str, list[Ask]] = {person: [] for person in PEOPLE}
    for number in range(questions):
        person = PEOPLE[number % len(PEOPLE)]
        mine = plans[person]
        ways = [Way.MENTION] * 5 + [Way.EDIT] + [Way.DIRECT] * 2
        if mine and mine[-1].way is not Way.EDIT and not mine[-1].deleted:
            ways += [Way.FOLLOW_UP] * 4
        way = chance.choice(ways)
        channel = chance.choice(CHANNELS)
        if way is Way.DIRECT:
            channel = person
        elif way is Way.FOLLOW_UP:
            channel = mine[-1].channel
        voters = chance.sample(PEOPLE, chance.choice([0, 1, 1, 2])) if channel != person else [person]
        votes = tuple((voter, chance.choice(VOTES)) for voter in voters)
        mine.append(Ask(number, person, channel, way, votes, chance.random() < 0.1, chance.random() < 0.05))
    return plans


@dataclass
class Channels:
    """What stands in the channels, read by one reader for everybody who waits."""

    slack: LocalSlack
    replies: dict[str, list[Json]] = field(default_factory=dict)
    """The bot's messages by channel."""
    seen: asyncio.Condition = field(default_factory=asyncio.Condition)
    watched: set[str] = field(default_factory=set)

    async def read(self, every: float = 0.4) -> None:
        """Read all watched channels again and again."""
        while True:
            for channel in list(self.watched):
                self.replies[channel] = [m for m in await self.slack.messages(channel) if m["user"] == BOT]
            async with self.seen:
                self.seen.notify_all()
            await asyncio.sleep(every)

    def with_token(self, channel: str, token: str) -> list[Json]:
        return [reply for reply in self.replies.get(channel, ()) if token in reply["text"]]

    async def until_answered(self, channel: str, token: str, done: str) -> Json:
        """The finished reply with a question's token: the one that has thumbs."""

        def finished() -> Json | None:
            return next((m for m in self.with_token(channel, token) if done in m["text"] and m.get("blocks")), None)

        self.watched.add(channel)
        async with self.seen:
            await self.seen.wait_for(lambda: finished() is not None)
        reply = finished()
        assert reply is not None
        return reply


@dataclass
class Day:
    """Runs the plan."""

    slack: LocalSlack
    channels: Channels
    done: str
    """What every finished reply contains."""
    asked: list[Asked] = field(default_factory=list)
    finished_at: list[float] = field(default_factory=list)
    """`time.monotonic()` of each answer: how the day goes on."""

    async def live(self, plans: dict[str, list[Ask]], *, seconds_between: float) -> None:
        """Everybody goes through their plan at once. Raises `TimeoutError` if somebody waits for an answer in vain."""
        async with asyncio.TaskGroup() as everybody:
            for number, (person, asks) in enumerate(plans.items()):
                everybody.create_task(self._person(person, asks, seconds_between, number / len(plans)))

    async def _person(self, person: str, asks: Sequence[Ask], pause: float, offset: float) -> None:
        await asyncio.sleep(pause * offset)
        thread: Json | None = None
        for ask in asks:
            async with asyncio.timeout(120):
                message = await self._say(ask, thread)
                reply = await self.channels.until_answered(message["channel"], ask.token, self.done)
            self.finished_at.append(time.monotonic())
            for voter, vote in ask.votes:
                await self._vote(reply, voter, vote)
            if ask.edited and ask.way is not Way.EDIT:
                await self.slack.edit(message, f"<@{BOT}> {ask.token}, or rather something else?")
            if ask.deleted:
                await self.slack.delete(message)
            thread = message
            self.asked.append(Asked(ask, message, reply))
            await asyncio.sleep(pause)

    async def _say(self, ask: Ask, before: Json | None) -> Json:
        text = f"which window goes with {ask.token}?"
        if ask.way is Way.EDIT:
            message = await self.slack.say(text, channel=ask.channel, user=ask.person)
            await self.slack.edit(message, f"<@{BOT}> {text}")
            return message
        thread = None
        if ask.way is Way.FOLLOW_UP and before is not None:
            thread = before.get("thread_ts") or before["ts"]
        if ask.channel != ask.person:
            text = f"<@{BOT}> {text}"
        return await self.slack.say(text, channel=ask.channel, user=ask.person, thread=thread)

    async def _vote(self, reply: Json, voter: str, vote: Vote) -> None:
        for number, gesture in enumerate(vote.gestures):
            if number and gesture.startswith("button ") != vote.gestures[number - 1].startswith("button "):
                # The time of a reaction has whole seconds here, and a counter in place of the fraction; a click's has not.
                await asyncio.sleep(1.1)
            if gesture.startswith("button "):
                await self.slack.thumb(reply, gesture.removeprefix("button "), user=voter)
            elif gesture.startswith("-") and gesture != "-1":
                await self.slack.react(reply, gesture[1:], user=voter, present=False)
            else:
                await self.slack.react(reply, gesture, user=voter)
