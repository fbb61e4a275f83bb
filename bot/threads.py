"""Whether a message in a thread is meant for the bot although nobody mentioned it. Platform-neutral.

The rule: a message continues the conversation with the bot if

1. it stands in a thread in which the bot was asked within `MAX_HISTORY_AGE`,
2. it mentions nobody else,
3. it asks something: it is more than thanks, an "ok" or an emoji,
4. its author asked the bot there before, and
5. since then nobody has written in the thread to anybody but the bot, and nobody else has asked it.

`always` takes every message for which 1 to 3 hold, `mention` none. What people write to each other is not stored; that they
did, and when, is (`thread_talk`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from bot.errors import SettingsError
from bot.messages import Platform, Question

REMEMBERED_SECONDS = 5.0
"""How long what admins have set is taken for unchanged."""


class ThreadMode(StrEnum):
    ALWAYS = "always"
    FOLLOW_UPS = "follow-ups"
    MENTION = "mention"


@dataclass(frozen=True, slots=True)
class ThreadState:
    """What happened in a thread before a message."""

    asked: bool
    """Somebody asked the bot there lately."""
    asked_at: datetime | None
    """When the message's author last did."""
    others_at: datetime | None
    """When somebody last wrote to people, or somebody else asked the bot."""


class Threads(Protocol):
    """Implemented by `bot.store.SqlThreads`; raises `StoreUnavailable`."""

    async def thread_state(self, message: Question) -> ThreadState:
        """What happened in the message's thread before it."""

    async def overheard(self, message: Question) -> None:
        """Remember that the message's author wrote to people."""


@dataclass(frozen=True, slots=True)
class ChannelMode:
    """What an admin has set for a channel."""

    platform: Platform
    workspace: str
    """Whose admin set it: a channel that two workspaces share has a mode in each."""
    conversation: str
    tenant: str
    """Whose questions come from the channel."""
    mode: ThreadMode
    changed_by: str
    """The platform's id of the person."""
    changed_at: datetime


class ModeStore(Protocol):
    """Implemented by `bot.store.SqlModes`; raises `StoreUnavailable`."""

    async def modes(self, platform: Platform, workspace: str) -> Sequence[ChannelMode]:
        """A workspace's channels with a mode of their own, the latest change first."""

    async def set_mode(self, mode: ChannelMode) -> None:
        """Set or change a channel's mode."""

    async def unset_mode(self, platform: Platform, workspace: str, conversation: str) -> None:
        """Let what is configured go for the channel again."""


class Modes:
    """What goes for a channel: what an admin has set, else what is configured for it, else what is for all.

    Other replicas see a change after `REMEMBERED_SECONDS`. Raises `StoreUnavailable`.
    """

    def __init__(
        self,
        store: ModeStore,
        configured: Mapping[str, ThreadMode],
        default: ThreadMode,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`configured`: by conversation id, where it differs from `default`; `clock` counts seconds."""
        self._store = store
        self.configured = configured
        self.default = default
        self._clock = clock
        self._known: dict[tuple[Platform, str], tuple[float, Mapping[str, ThreadMode]]] = {}

    async def of(self, message: Question) -> ThreadMode:
        """The mode of the channel that a message stands in."""
        where = (message.platform, message.address.get("team", ""))
        until, modes = self._known.get(where, (0.0, {}))
        if self._clock() >= until:
            modes = {found.conversation: found.mode for found in await self._store.modes(*where)}
            self._known[where] = (self._clock() + REMEMBERED_SECONDS, modes)
        return modes.get(message.conversation) or self.configured.get(message.conversation, self.default)

    async def set_in(self, platform: Platform, workspace: str) -> Sequence[ChannelMode]:
        """What admins have set in a workspace, read anew."""
        return await self._store.modes(platform, workspace)

    async def change(self, change: ChannelMode) -> None:
        """From now on this goes for the channel."""
        await self._store.set_mode(change)
        self._known.pop((change.platform, change.workspace), None)

    async def reset(self, platform: Platform, workspace: str, conversation: str) -> None:
        """From now on what is configured goes for the channel."""
        await self._store.unset_mode(platform, workspace, conversation)
        self._known.pop((platform, workspace), None)


class ThreadRule:
    """Decides by the channel's mode and what happened in the thread."""

    def __init__(self, threads: Threads, modes: Modes) -> None:
        self._threads = threads
        self._modes = modes

    async def takes(self, message: Question, *, to_others: bool) -> bool:
        """True if the message is a question to the bot. `to_others`: it mentions somebody else."""
        mode = await self._modes.of(message)
        if mode is ThreadMode.MENTION:
            return False
        state = await self._threads.thread_state(message)
        if not state.asked:
            return False
        if not to_others and is_courtesy(message.text) and not message.address.get("files"):
            return False
        follows = state.asked_at is not None and (state.others_at is None or state.others_at < state.asked_at)
        if not to_others and (mode is ThreadMode.ALWAYS or follows):
            return True
        await self._threads.overheard(message)
        return False


_WORD = re.compile(r"[^\W\d_]+")
_EMOJI = re.compile(r":[a-z0-9_+'-]+:")
_COURTESIES = frozenset(
    _WORD.findall(
        """
        thanks thank you thx ty cheers great perfect nice cool awesome excellent ok okay k yes no yep nope got it
        makes sense that helps helped worked works very much so a lot will do sure good danke vielen dank super
        merci gracias obrigado grazie done lol haha for the help your all to everyone again now well this i see
        understood right exactly
        """
    )
)


def is_courtesy(text: str) -> bool:
    """True for thanks, assent and emoji, which ask nothing.

    >>> [is_courtesy(t) for t in ("Thanks, that worked!", ":+1:", "ok, and on Android?", "Danke!", "why?")]
    [True, True, False, True, False]
    """
    if "?" in text:
        return False
    words = _WORD.findall(_EMOJI.sub(" ", text.lower().replace("'", "")))
    return all(word in _COURTESIES for word in words)


def parse_modes(setting: str) -> tuple[ThreadMode, dict[str, ThreadMode]]:
    """`follow-ups,C0123=always,C0456=mention` -> the default and the exceptions. Raises `SettingsError`.

    >>> parse_modes("mention, C1=always")
    (<ThreadMode.MENTION: 'mention'>, {'C1': <ThreadMode.ALWAYS: 'always'>})
    """
    default, modes = ThreadMode.FOLLOW_UPS, {}
    for item in filter(None, (part.strip() for part in setting.split(","))):
        channel, _, name = item.rpartition("=")
        try:
            mode = ThreadMode(name.strip())
        except ValueError as exc:
            raise SettingsError(
                f"PROMPTAI_SLACK_THREADS: {item!r} is none of always, follow-ups and mention, alone or as CHANNEL=mode."
            ) from exc
        if channel:
            modes[channel.strip()] = mode
        else:
            default = mode
    return default, modes
