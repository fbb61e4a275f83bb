"""Who is at the console, and which conversations are theirs. Pure functions.

Nobody signs in yet: a browser gets a random secret in a cookie. The person's id is a digest of the secret, so what is
stored and logged does not let anyone act as that person. A conversation's id carries a MAC keyed with the secret, so
"is this conversation mine" needs no look-up, also after a restart, and knowing an id (it is in the page's address)
opens nothing without the cookie.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from bot.messages import Person

COOKIE = "promptai_person"
SECRET_BYTES = 32
_NONCE_BYTES = 9
_MAC_BYTES = 15
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


def encode_secret(random: bytes) -> str:
    """The cookie's value for `SECRET_BYTES` random bytes."""
    return _base64(random)


def is_secret(cookie: str | None) -> bool:
    """True if a cookie's value has the shape that `encode_secret` gives."""
    return cookie is not None and _SECRET.fullmatch(cookie) is not None


def person_of(secret: str) -> Person:
    """The person behind a cookie."""
    return Person(id="w-" + hashlib.sha256(secret.encode()).hexdigest()[:32])


def new_conversation(secret: str, first_message: str) -> str:
    """An id for the conversation that a message begins; the same message sent again begins the same conversation."""
    nonce = _base64(hashlib.sha256(first_message.encode()).digest()[:_NONCE_BYTES])
    return f"c-{nonce}{_mac(secret, nonce)}"


def owns(secret: str, conversation: str) -> bool:
    """True if `conversation` was made by `new_conversation` for this secret."""
    nonce, mac = conversation[2:14], conversation[14:]
    expected = f"c-{nonce}{_mac(secret, nonce)}"
    return len(mac) > 0 and hmac.compare_digest(conversation.encode(), expected.encode())


def _mac(secret: str, nonce: str) -> str:
    digest = hmac.new(secret.encode(), b"conversation:" + nonce.encode(), hashlib.sha256).digest()
    return _base64(digest[:_MAC_BYTES])


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
