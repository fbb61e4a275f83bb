"""Which workspace and channel a payload of Slack's comes from. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Payload = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a payload comes from, as far as it says."""

    team: str
    """The workspace whose installation may see it: `T…`; empty where only the organisation is named."""
    enterprise: str
    """The organisation: `E…`; empty outside Enterprise Grid."""
    organisation_wide: bool
    """The app is installed in the whole organisation."""
    channel: str
    """`C…`, `G…` or `D…`; empty for what happens in no channel."""
    external: bool
    """The channel is shared with another organisation (Slack Connect)."""


def read_origin(body: Payload) -> Origin:
    """From an event, a click, a shortcut, a submitted view or a command.

    `authorizations` names the installation that an event was sent to, also in shared channels, where `team_id` may be
    the author's: https://docs.slack.dev/apis/events-api/#authorizations
    """
    granted = next(_objects(body.get("authorizations")), {})
    event, view, user = _object(body, "event"), _object(body, "view"), _object(body, "user")
    team, enterprise = body.get("team"), body.get("enterprise")
    return Origin(
        team=_first(
            granted.get("team_id"),
            _workspace(view.get("app_installed_team_id")),
            _id(team),
            body.get("team_id"),
            user.get("team_id"),
            view.get("team_id"),
        ),
        enterprise=_first(
            granted.get("enterprise_id"),
            _id(enterprise),
            body.get("enterprise_id"),
            team.get("enterprise_id") if isinstance(team, Mapping) else None,
        ),
        organisation_wide=any(source.get("is_enterprise_install") in (True, "true") for source in (granted, body)),
        channel=_first(
            _id(event.get("channel")),
            _object(event, "item").get("channel"),
            _object(event, "assistant_thread").get("channel_id"),
            _id(body.get("channel")),
            body.get("channel_id"),
            _object(body, "container").get("channel_id"),
        ),
        external=body.get("is_ext_shared_channel") is True,
    )


def _first(*values: object) -> str:
    return next((value for value in values if isinstance(value, str) and value), "")


def _id(value: object) -> object:
    """Slack sends some things as an id and some as an object that has one."""
    return value.get("id") if isinstance(value, Mapping) else value


def _workspace(value: object) -> object:
    """A view of an app that a whole organisation has installed names the organisation."""
    return None if isinstance(value, str) and value.startswith("E") else value


def _object(payload: Payload, key: str) -> Payload:
    value = payload.get(key)
    return value if isinstance(value, Mapping) else {}


def _objects(value: object) -> Iterator[Payload]:
    yield from (item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else ()
