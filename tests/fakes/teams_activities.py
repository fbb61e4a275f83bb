"""Activities as Teams sends them."""

from __future__ import annotations

from typing import Any

SERVICE_URL = "https://smba.example/amer/"
BOT = {"id": "28:11111111-2222-3333-4444-555555555555", "name": "promptai"}
ADA = {"id": "29:ada", "name": "Ada Lovelace", "aadObjectId": "aad-ada"}
TENANT = "tenant-1"
CHANNEL_ID = "19:abc@thread.tacv2"


def activity(kind: str, **fields: Any) -> dict[str, Any]:
    """Any activity in the personal chat."""
    return {
        "type": kind,
        "id": "1700000000001",
        "timestamp": "2026-01-02T03:04:05.1234567Z",
        "serviceUrl": SERVICE_URL,
        "channelId": "msteams",
        "from": dict(ADA),
        "recipient": dict(BOT),
        "conversation": {"id": "a:chat-1", "conversationType": "personal", "tenantId": TENANT},
        "channelData": {"tenant": {"id": TENANT}},
        "locale": "en-US",
        **fields,
    }


def message(text: str, **fields: Any) -> dict[str, Any]:
    """A direct message."""
    return activity("message", text=text, textFormat="plain", **fields)


def mention(name: str = "promptai", mentioned: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "mention", "mentioned": mentioned or dict(BOT), "text": f"<at>{name}</at>"}


def channel(root: str = "1700000000001") -> dict[str, Any]:
    return {"id": f"{CHANNEL_ID};messageid={root}", "conversationType": "channel", "isGroup": True, "tenantId": TENANT}


def channel_message(text: str, *, root: str = "1700000000001", **fields: Any) -> dict[str, Any]:
    """A message in a channel that mentions the bot; `root` is the message that began the thread."""
    fields = {"entities": [mention()], "conversation": channel(root), **fields}
    return message(f"<at>promptai</at> {text}", **fields)


def reaction(reply_id: str | None, *, added: tuple[str, ...] = (), removed: tuple[str, ...] = (), **fields: Any) -> Any:
    result = activity("messageReaction", **fields)
    if added:
        result["reactionsAdded"] = [{"type": kind} for kind in added]
    if removed:
        result["reactionsRemoved"] = [{"type": kind} for kind in removed]
    return result | ({"replyToId": reply_id} if reply_id else {})


def feedback(reply_id: str | None, like: str, text: Any = None, **fields: Any) -> dict[str, Any]:
    """A click on a feedback button below an answer."""
    action = {"reaction": like} | ({"feedback": text} if text is not None else {})
    value = {"actionName": "feedback", "actionValue": action}
    result = activity("invoke", name="message/submitAction", value=value, **fields)
    return result | ({"replyToId": reply_id} if reply_id else {})
