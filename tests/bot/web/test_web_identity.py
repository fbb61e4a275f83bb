"""Cookies, people and conversations."""

from __future__ import annotations

import pytest

from bot.web import identity

ADA = identity.encode_secret(b"a" * identity.SECRET_BYTES)
BOB = identity.encode_secret(b"b" * identity.SECRET_BYTES)


def test_a_persons_id_does_not_tell_the_secret() -> None:
    person = identity.person_of(ADA)
    assert ADA not in person.id
    assert person == identity.person_of(ADA)
    assert person != identity.person_of(BOB)


def test_a_conversation_belongs_to_whom_it_was_made_for_only() -> None:
    conversation = identity.new_conversation(ADA, "message-1")
    assert identity.owns(ADA, conversation)
    assert not identity.owns(BOB, conversation)


@pytest.mark.parametrize(
    "conversation", ["", "c-", "c-" + "A" * 12, "c-" + "A" * 32, "x" * 34, "c-é" * 20, "c-" + "A" * 5000]
)
def test_a_conversation_that_was_made_up_belongs_to_nobody(conversation: str) -> None:
    assert not identity.owns(ADA, conversation)


def test_a_conversation_that_was_changed_belongs_to_nobody() -> None:
    conversation = identity.new_conversation(ADA, "message-1")
    for index in range(len(conversation)):
        swapped = "A" if conversation[index] != "A" else "B"
        assert not identity.owns(ADA, conversation[:index] + swapped + conversation[index + 1 :])


@pytest.mark.parametrize("cookie", [None, "", "short", "a" * 44, "ü" * 43, "a" * 42 + "\n"])
def test_a_cookie_of_another_shape_is_no_secret(cookie: str | None) -> None:
    assert not identity.is_secret(cookie)


def test_a_cookie_that_we_made_is_a_secret() -> None:
    assert identity.is_secret(ADA)
