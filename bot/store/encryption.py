"""Encryption of what people typed or clicked, wherever a table keeps it."""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from bot.store.schema import clean


class Encryption:
    """Fernet (AES-128-CBC and HMAC-SHA256, https://github.com/fernet/spec/blob/master/Spec.md) under several keys."""

    def __init__(self, secret_keys: Sequence[bytes]) -> None:
        """Takes the keys.

        Args:
            secret_keys: The first one encrypts, each of them decrypts. Where there are none, a key of this object's own
                does, and nothing can be read once it is gone.
        """
        given = secret_keys or (secrets.token_bytes(32),)
        self._names = _derived(given[0], b"name")
        self._fernet = MultiFernet(
            [Fernet(base64.urlsafe_b64encode(_derived(each, b"encrypt"))) for each in given]
        )

    def encrypt(self, text: str) -> str:
        """Text as it may stand in a table."""
        return self._fernet.encrypt(clean(text).encode()).decode()

    def decrypt(self, token: str) -> str | None:
        """The text, None where it was not encrypted under one of the keys."""
        try:
            return self._fernet.decrypt(token).decode()
        except InvalidToken:
            return None

    def name(self, text: str) -> str:
        """22 url-safe characters, the same for the same text; without the key they tell nothing about it."""
        digest = hmac.digest(self._names, text.encode("utf-8", "surrogatepass"), "sha256")
        return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")


def _derived(secret_key: bytes, purpose: bytes) -> bytes:
    return hmac.digest(secret_key, b"celonis-chat store\n" + purpose, "sha256")
