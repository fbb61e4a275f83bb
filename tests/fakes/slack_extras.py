"""What the fake workspace offers beyond posting: streams, status lines, ephemeral messages, dialogs, prompts and files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

Json = dict[str, Any]

MAX_CHUNK = 12_000

STREAMS = {"chat.startStream", "chat.appendStream", "chat.stopStream", "assistant.threads.setStatus"}
"""What a workspace of an older kind, and local-slack, do not offer."""


class Workspace(Protocol):
    """The part of `FakeSlack` that is needed here."""

    channels: dict[str, list[Json]]

    def post(self, arguments: Json) -> Json: ...

    def message(self, channel: str, ts: str) -> Json: ...

    def has(self, channel: str, ts: str) -> bool: ...


def error(code: str) -> Json:
    return {"ok": False, "error": code}


def well_formed(blocks: list[Json]) -> bool:
    """Slack's rules for what people choose from: unique ids, a preselected option that is one of them, short words."""
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    chosen = [block["element"] for block in blocks if block["type"] == "input"]
    selects = [element for element in chosen if element["type"] == "static_select"]
    return len(ids) == len(set(ids)) and all(
        0 < len(select["options"]) <= 100
        and select.get("initial_option", select["options"][0]) in select["options"]
        and all(len(option["text"]["text"]) <= 75 for option in select["options"])
        for select in selects
    )


@dataclass
class Extras:
    """The methods by name, and what they left behind."""

    workspace: Workspace
    streaming: set[tuple[str, str]] = field(default_factory=set)
    """(channel, ts) of the messages that are being streamed."""
    statuses: dict[tuple[str, str], str] = field(default_factory=dict)
    """(channel, thread) -> the status line shown there."""
    ephemeral: list[Json] = field(default_factory=list)
    """What single people were told, as `chat.postEphemeral` got it."""
    views: list[Json] = field(default_factory=list)
    """Dialogs that were opened."""
    prompts: dict[str, list[Json]] = field(default_factory=dict)
    """Channel -> suggested prompts."""
    triggers: set[str] = field(default_factory=set)
    """Trigger ids of the clicks and commands that people made; each opens one dialog."""
    groups: dict[str, list[str]] = field(default_factory=dict)
    """User group -> its members."""
    files: dict[str, Json] = field(default_factory=dict)

    def answer(self, method: str, arguments: Json) -> Json | None:
        """The answer to a method, or None where it is not offered here."""
        methods: Mapping[str, Callable[[Json], Json]] = {
            "chat.startStream": self._start,
            "chat.appendStream": self._append,
            "chat.stopStream": self._stop,
            "chat.postEphemeral": self._ephemeral,
            "chat.getPermalink": self._permalink,
            "assistant.threads.setStatus": self._status,
            "assistant.threads.setSuggestedPrompts": self._prompts,
            "views.open": self._open,
            "usergroups.users.list": self._group,
            "files.info": self._file,
        }
        return methods[method](arguments) if method in methods else None

    def end_streams(self) -> None:
        """Five minutes have passed."""
        self.streaming.clear()

    def _start(self, arguments: Json) -> Json:
        channel = arguments.get("channel", "")
        if channel not in self.workspace.channels:
            return error("channel_not_found")
        if not channel.startswith("D"):
            for needed in ("recipient_team_id", "recipient_user_id"):
                if not arguments.get(needed):
                    return error(f"missing_{needed}")
        answer = self.workspace.post({**arguments, "text": arguments.get("markdown_text") or " "})
        self.workspace.message(channel, answer["ts"])["text"] = arguments.get("markdown_text", "")
        self.streaming.add((channel, answer["ts"]))
        return {"ok": True, "channel": channel, "ts": answer["ts"]}

    def _append(self, arguments: Json) -> Json:
        channel, ts, text = (str(arguments.get(key, "")) for key in ("channel", "ts", "markdown_text"))
        if refused := self._not_streaming(channel, ts):
            return refused
        if not 0 < len(text) <= MAX_CHUNK:
            return error("msg_too_long" if text else "no_text")
        self.workspace.message(channel, ts)["text"] += text
        return {"ok": True, "channel": channel, "ts": ts}

    def _stop(self, arguments: Json) -> Json:
        channel, ts = str(arguments.get("channel", "")), str(arguments.get("ts", ""))
        if refused := self._not_streaming(channel, ts):
            return refused
        self.streaming.discard((channel, ts))
        message = self.workspace.message(channel, ts)
        message["text"] += arguments.get("markdown_text", "")
        return {"ok": True, "channel": channel, "ts": ts, "message": message}

    def _not_streaming(self, channel: str, ts: str) -> Json | None:
        if not self.workspace.has(channel, ts):
            return error("message_not_found")
        return None if (channel, ts) in self.streaming else error("message_not_in_streaming_state")

    def _ephemeral(self, arguments: Json) -> Json:
        if arguments.get("channel") not in self.workspace.channels:
            return error("channel_not_found")
        if not arguments.get("user") or not (arguments.get("text") or arguments.get("blocks")):
            return error("user_not_in_channel" if arguments.get("text") else "no_text")
        self.ephemeral.append(arguments)
        return {"ok": True, "message_ts": f"1700000000.{len(self.ephemeral):06d}"}

    def _permalink(self, arguments: Json) -> Json:
        channel, ts = str(arguments.get("channel", "")), str(arguments.get("message_ts", ""))
        if channel not in self.workspace.channels:
            return error("channel_not_found")
        if not self.workspace.has(channel, ts):
            return error("message_not_found")
        return {
            "ok": True,
            "channel": channel,
            "permalink": f"https://acme.slack.com/archives/{channel}/p{ts.replace('.', '')}",
        }

    def _status(self, arguments: Json) -> Json:
        if arguments.get("channel_id") not in self.workspace.channels:
            return error("channel_not_found")
        if len(arguments.get("loading_messages") or []) > 10 or "status" not in arguments:
            return error("invalid_arguments")
        self.statuses[arguments["channel_id"], arguments.get("thread_ts", "")] = arguments["status"]
        return {"ok": True}

    def _prompts(self, arguments: Json) -> Json:
        prompts = arguments.get("prompts") or []
        if not 0 < len(prompts) <= 4 or any(not prompt.get("title") or not prompt.get("message") for prompt in prompts):
            return error("invalid_arguments")
        self.prompts[arguments["channel_id"]] = prompts
        return {"ok": True}

    def _open(self, arguments: Json) -> Json:
        view = arguments.get("view") or {}
        if arguments.get("trigger_id") not in self.triggers:
            return error("invalid_trigger_id")
        if view.get("type") != "modal" or not view.get("title") or not 0 < len(view.get("blocks", [])) <= 100:
            return error("invalid_arguments")
        if len(view["title"]["text"]) > 24 or len(view.get("private_metadata", "")) > 3_000:
            return error("invalid_arguments")
        if not well_formed(view["blocks"]):
            return error("invalid_arguments")
        self.triggers.discard(arguments["trigger_id"])
        self.views.append(view)
        return {"ok": True, "view": {"id": f"V{len(self.views)}", **view}}

    def _group(self, arguments: Json) -> Json:
        members = self.groups.get(arguments.get("usergroup", ""))
        return error("no_such_subteam") if members is None else {"ok": True, "users": members}

    def _file(self, arguments: Json) -> Json:
        found = self.files.get(arguments.get("file", ""))
        return error("file_not_found") if found is None else {"ok": True, "file": found}
