"""How an admin sees and changes what goes for a channel: lines of the home tab, a dialog. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.slack.text import date, escape
from bot.threads import ChannelMode, ThreadMode

Json = dict[str, Any]

CHANGE = "promptai_channel_change"
"""Action id of the buttons in the home tab; a button's value is a channel, or empty for any."""

CHANNEL_VIEW = "promptai_channel"
"""The dialog's callback id."""

AS_CONFIGURED = "configured"
"""The dialog's choice of no mode."""

CHANNEL, MODE = "channel", "mode"
"""Block and action ids in the dialog."""

MAX_CHANNELS = 20
"""Lines for channels in the home tab."""

REFUSAL = (
    "Sorry, only this workspace's admins of mine can change how I behave in its channels: "
    "the people whom `SLACK_ADMINS` names. Whoever runs me can add you there."
)
_WORDS = {
    ThreadMode.ALWAYS: "always: every question in a thread that I answered in",
    ThreadMode.FOLLOW_UPS: "follow-ups: of the person who asked me there",
    ThreadMode.MENTION: "mention: only where I am mentioned",
}


@dataclass(frozen=True, slots=True)
class Channels:
    """Which messages without a mention continue a thread, for one workspace."""

    changed: Sequence[ChannelMode] = ()
    """What admins have set, the latest change first."""
    configured: Mapping[str, ThreadMode] = field(default_factory=dict)
    """By channel, what the environment says."""
    default: ThreadMode = ThreadMode.FOLLOW_UPS


def channel_blocks(channels: Channels) -> list[Json]:
    """The home tab's lines: at most `MAX_CHANNELS` and four more."""
    heading = {"type": "header", "text": _plain("Threads that go on without a mention")}
    everywhere = _section(f"*Everywhere else*: {channels.default.value}, as configured", "")
    set_here = {found.conversation for found in channels.changed}
    lines = [
        _section(
            f"<#{escape(found.conversation)}>: {found.mode.value}\n"
            f"_changed by <@{escape(found.changed_by)}>, {date(found.changed_at)}_",
            found.conversation,
        )
        for found in channels.changed
    ]
    lines += [
        _section(f"<#{escape(channel)}>: {mode.value}, as configured", channel)
        for channel, mode in channels.configured.items()
        if channel not in set_here
    ]
    more = len(lines) - MAX_CHANNELS
    rest = [{"type": "context", "elements": [_plain(f"and {more} more channels")]}] if more > 0 else []
    return [heading, everywhere, *lines[:MAX_CHANNELS], *rest]


def channel_view(channel: str, mode: ThreadMode | None) -> Json:
    """The dialog, for a channel (empty: to be chosen) and the mode that is set there. https://docs.slack.dev/surfaces/modals"""
    options = [{"text": _plain(words), "value": name.value} for name, words in _WORDS.items()]
    options.append({"text": _plain("as configured where the bot runs"), "value": AS_CONFIGURED})
    chosen = mode.value if mode else AS_CONFIGURED
    select: Json = {
        "type": "conversations_select",
        "action_id": CHANNEL,
        "placeholder": _plain("Choose a channel"),
        "filter": {"include": ["public", "private"]},
    }
    return _modal(
        {
            "type": "input",
            "block_id": CHANNEL,
            "label": _plain("Channel"),
            "element": select | ({"initial_conversation": channel} if channel else {}),
        },
        {
            "type": "input",
            "block_id": MODE,
            "label": _plain("A thread goes on without a mention"),
            "element": {
                "type": "static_select",
                "action_id": MODE,
                "options": options,
                "initial_option": next(option for option in options if option["value"] == chosen),
            },
        },
    ) | {"callback_id": CHANNEL_VIEW, "submit": _plain("Save")}


def refusal_view() -> Json:
    """What somebody sees who may not change it."""
    return _modal({"type": "section", "text": {"type": "mrkdwn", "text": REFUSAL}})


def chosen(view: Mapping[str, Any]) -> tuple[str, ThreadMode | None] | None:
    """Channel and mode (None: as configured) of a dialog that was sent; None for what is none of ours."""
    values = (view.get("state") or {}).get("values") or {}
    channel = ((values.get(CHANNEL) or {}).get(CHANNEL) or {}).get("selected_conversation")
    mode = (((values.get(MODE) or {}).get(MODE) or {}).get("selected_option") or {}).get("value")
    if not isinstance(channel, str) or not channel.startswith(("C", "G")):
        return None
    if mode == AS_CONFIGURED:
        return channel, None
    return (channel, ThreadMode(mode)) if mode in list(ThreadMode) else None


def _modal(*blocks: Json) -> Json:
    return {"type": "modal", "title": _plain("Threads"), "close": _plain("Cancel"), "blocks": list(blocks)}


def _section(text: str, channel: str) -> Json:
    button: Json = {"type": "button", "action_id": CHANGE, "text": _plain("Change")}
    button |= {"value": channel} if channel else {"text": _plain("Change a channel")}
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, "accessory": button}


def _plain(words: str) -> Json:
    return {"type": "plain_text", "text": words}
