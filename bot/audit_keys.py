"""The keys of the audit log, and everything that is made with them: digests of rows and names, seals of heads."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence

from bot.model.errors import ConfigError
from bot.redaction import redact
from bot.store.audit_rows import Head, Row

SHORTEST_KEY = 16
_SEAL = re.compile(r"([0-9a-f]{8}):([0-9a-f]{64})\Z", re.ASCII)


class Key:
    """A secret key with the id that rows name it by."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.id = self.mac("key id")[:8]

    def mac(self, purpose: str, *parts: str | int) -> str:
        """64 hex digits over a purpose, so that a digest made for one is none for another, and what belongs to it."""
        message = "\n".join(("celonis-chat audit", purpose, *map(str, parts)))
        return hmac.new(self._secret, message.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()

    def person(self, name: str) -> str:
        """What a row says instead of a person's name: the same for all rows of a person under this key."""
        return self.mac("person", name)

    def seal(self, head: Head) -> str:
        """Names the key, and vouches for number and digest of a head."""
        return f"{self.id}:{self.mac('head', head.count, head.digest)}"

    def chained(self, seq: int, before: str, content: str, person: str | None = None) -> Row:
        """The row behind the one with the digest `before`."""
        return Row(seq, self.id, content, self.mac("row", seq, self.id, before, content), person)


class Keys:
    """The keys that are given."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        """Takes them.

        Args:
            secrets: At least 16 bytes each; the first one is for new rows.

        Raises:
            ConfigError: One is too short.
        """
        if any(len(secret) < SHORTEST_KEY for secret in secrets):
            raise ConfigError([f"CELONIS_CHAT_SECRET_KEY must have at least {SHORTEST_KEY} characters"])
        keys = [Key(secret) for secret in secrets]
        self.newest = keys[0] if keys else None
        self._by_id = {key.id: key for key in keys}

    def named(self, name: str, what: str) -> Key:
        """The key with this id.

        Args:
            name: The id, as the database has it.
            what: What was written with it, for the error.

        Raises:
            ConfigError: It was not given.
        """
        if name not in self._by_id:
            raise ConfigError(
                [
                    (
                        f"CELONIS_CHAT_SECRET_KEY does not hold the key {redact(name)[:8]!r}, with which {what} of the audit "
                        "log was written. Put it behind the first one, with a comma between them; if there never was "
                        "such a key, the log was changed."
                    )
                ]
            )
        return self._by_id[name]

    def seals(self, head: Head) -> bool:
        """Whether a head is as the bot left it; before the first row there is none.

        Raises:
            ConfigError: It was sealed with a key that is not there.
        """
        if head == Head():
            return True
        sealed = _SEAL.match(head.seal)
        return sealed is not None and same(self.named(sealed[1], "the end").seal(head), head.seal)


def same(ours: str, found: str) -> bool:
    """Compares a digest of ours with what was found, in a time that tells nothing."""
    return hmac.compare_digest(ours.encode(), found.encode("utf-8", "replace"))
