"""Which workspace, organisation and channel a payload comes from."""

from __future__ import annotations

from typing import Any

import pytest

from bot.slack.origin import Origin, read_origin

SHARED = {
    "team_id": "T9AUTHOR",
    "is_ext_shared_channel": True,
    "authorizations": [{"team_id": "T1", "enterprise_id": None, "is_enterprise_install": False}],
    "event": {"type": "app_mention", "channel": "C1", "team": "T9AUTHOR"},
}
ORGANISATION = {
    "team_id": "T1",
    "enterprise_id": "E1",
    "authorizations": [{"team_id": "T1", "enterprise_id": "E1", "is_enterprise_install": True}],
    "event": {"type": "reaction_added", "item": {"channel": "C1"}},
}


@pytest.mark.parametrize(
    ("body", "origin"),
    [
        (SHARED, Origin("T1", "", False, "C1", True)),
        (ORGANISATION, Origin("T1", "E1", True, "C1", False)),
        (
            {"team": {"id": "T1"}, "user": {"team_id": "T2"}, "channel": {"id": "C1"}},
            Origin("T1", "", False, "C1", False),
        ),
        (
            {"team": None, "enterprise": {"id": "E1"}, "is_enterprise_install": True, "user": {"team_id": "T2"}},
            Origin("T2", "E1", True, "", False),
        ),
        ({"team_id": "T1", "enterprise_id": "E1", "channel_id": "D1"}, Origin("T1", "E1", False, "D1", False)),
        ({"view": {"app_installed_team_id": "T1"}, "team": {"id": "T2"}}, Origin("T1", "", False, "", False)),
        (
            {
                "view": {"app_installed_team_id": "E1"},
                "team": None,
                "enterprise": {"id": "E1"},
                "user": {"team_id": "T2"},
            },
            Origin("T2", "E1", False, "", False),
        ),
        ({"team_id": "T1", "event": {"channel": {"id": "C1"}}}, Origin("T1", "", False, "C1", False)),
        ({"authorizations": "x", "event": 3, "team": 7}, Origin("", "", False, "", False)),
    ],
    ids=[
        "shared channel",
        "organisation",
        "click",
        "click in an organisation",
        "command",
        "modal",
        "modal in an organisation",
        "archived",
        "junk",
    ],
)
def test_the_installation_that_an_event_was_sent_to_counts(body: dict[str, Any], origin: Origin) -> None:
    assert read_origin(body) == origin
