"""People of the fake workspace: what they do changes it, and arrives at the bot over its sockets as Slack's events do.

The fields are those that local-slack and Slack send (https://docs.slack.dev/reference/events); `tests/contracts` holds the
first two equal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.fakes.slack_api import BOT_USER, TEAM, FakeSlack, event

Json = dict[str, Any]


@dataclass
class FakePeople:
    """The people's side of a `FakeSlack`."""

    slack: FakeSlack
    _numbers: count[int] = field(default_factory=lambda: count(1))

    async def say(self, text: str, *, channel: str, user: str, thread: str | None = None) -> Json:
        """Somebody writes. A mention in a channel arrives twice, as a message and as a mention."""
        message = {**self.slack.say(channel, user, text, thread=thread), "channel": channel}
        kind = "im" if channel.startswith("D") else "channel"
        await self._tell({**message, "event_ts": message["ts"], "channel_type": kind})
        if kind == "channel" and f"<@{BOT_USER}>" in text:
            await self._tell({**message, "type": "app_mention", "event_ts": message["ts"]})
        return message

    async def edit(self, message: Json, text: str) -> None:
        """The author changes a message."""
        kept = self.slack.message(message["channel"], message["ts"])
        before = dict(kept)
        kept |= {"text": text, "edited": {"user": message["user"], "ts": self.slack.next_ts()}}
        await self._tell(
            {
                "type": "message", "subtype": "message_changed", "channel": message["channel"],
                "ts": (ts := self.slack.next_ts()), "event_ts": ts, "message": dict(kept), "previous_message": before,
            }
        )  # fmt: skip

    async def delete(self, message: Json) -> None:
        """The author deletes a message."""
        before = dict(self.slack.message(message["channel"], message["ts"]))
        self.slack.delete(message["channel"], message["ts"])
        await self._tell(
            {
                "type": "message", "subtype": "message_deleted", "channel": message["channel"],
                "ts": (ts := self.slack.next_ts()), "event_ts": ts, "deleted_ts": message["ts"], "previous_message": before,
            }
        )  # fmt: skip

    async def react(self, message: Json, name: str, *, user: str, present: bool = True) -> None:
        """Somebody gives a reaction, or takes it back."""
        item = {"type": "message", "channel": message["channel"], "ts": message["ts"]}
        await self._tell(
            {
                "type": "reaction_added" if present else "reaction_removed", "user": user, "reaction": name, "item": item,
                "item_user": self.slack.message(message["channel"], message["ts"])["user"], "event_ts": self.slack.next_ts(),
            }
        )  # fmt: skip

    async def click(self, message: Json, action: Json, *, user: str) -> None:
        """Somebody clicks something under a message; the click may open one dialog."""
        number = next(self._numbers)
        self.slack.extras.triggers.add(f"trigger-{number}")
        payload = {
            "type": "block_actions",
            "team": {"id": TEAM, "domain": "acme"},
            "user": {"id": user, "name": user.lower(), "username": user.lower(), "team_id": TEAM},
            "container": {"type": "message", "message_ts": message["ts"], "channel_id": message["channel"]},
            "channel": {"id": message["channel"], "name": "general"},
            "message": dict(self.slack.message(message["channel"], message["ts"])),
            "trigger_id": f"trigger-{number}",
            "response_url": f"{self.slack.url}response",
            "actions": [{**action, "action_ts": self.slack.next_ts()}],
        }
        await self.slack.push(payload, envelope_id=f"click-{number}", kind="interactive")

    async def _tell(self, inner: Json) -> None:
        number = next(self._numbers)
        await self.slack.push(event(inner, event_id=f"Ev{number}"), envelope_id=f"event-{number}")
