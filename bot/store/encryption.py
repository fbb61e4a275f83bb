"""Encryption of tokens at rest: Fernet (AES-128-CBC with HMAC-SHA256), with keys that can be replaced one after another.

https://cryptography.io/en/latest/fernet/#cryptography.fernet.MultiFernet
"""

from __future__ import annotations

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from bot.errors import SettingsError

VARIABLE = "PROMPTAI_ENCRYPTION_KEYS"


def new_key() -> str:
    """A fresh random key, as the setting wants it."""
    return Fernet.generate_key().decode()


class Cipher:
    """Encrypts with the first key and decrypts with any: put a new key in front, rotate, then drop the old one."""

    def __init__(self, keys: str) -> None:
        """`keys`: one or more, separated by commas. Raises `SettingsError`."""
        parts = [part.strip() for part in keys.split(",") if part.strip()]
        if not parts:
            raise SettingsError(f"{VARIABLE} is empty: make a key with `promptai keys new`.")
        try:
            self._fernet = MultiFernet([Fernet(part) for part in parts])
        except ValueError as exc:
            raise SettingsError(
                f"{VARIABLE} holds something that is no key: make one with `promptai keys new`."
            ) from exc

    def encrypt(self, text: str) -> str:
        return self._fernet.encrypt(text.encode()).decode()

    def decrypt(self, encrypted: str) -> str:
        """Raises `SettingsError` if none of the keys fits."""
        try:
            return self._fernet.decrypt(encrypted.encode()).decode()
        except InvalidToken as exc:
            raise _no_key_fits() from exc

    def renew(self, encrypted: str) -> str:
        """The same secret under the first key. Raises `SettingsError` if none of the keys fits."""
        try:
            return self._fernet.rotate(encrypted.encode()).decode()
        except InvalidToken as exc:
            raise _no_key_fits() from exc


def _no_key_fits() -> SettingsError:
    return SettingsError(f"A stored token cannot be read: {VARIABLE} lacks the key that it was stored with.")
