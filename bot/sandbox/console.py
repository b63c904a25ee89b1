"""What `celonis-chat sandbox` prints: address, keys, and calls to try."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bot.sandbox.content import read_text
from bot.sandbox.keys import Key

if TYPE_CHECKING:
    from bot.sandbox.server import Sandbox

_KINDS = {"user": "user key (Bearer)", "app": "application key (AppKey)", "oauth": "OAuth client"}


def introduction(sandbox: Sandbox) -> str:
    """The text for a person who wants to use this sandbox."""
    keys = sandbox.keys
    return read_text("introduction.txt").format(
        url=sandbox.url,
        rows=next(_rows(sandbox), ""),
        keys="".join(map(_described, keys)).rstrip(),
        operator=keys.operator.authorization,
        pool=keys.pool.authorization,
        client=keys.oauth.client_id,
        secret=keys.oauth.secret,
    )


def _rows(sandbox: Sandbox) -> Iterator[str]:
    """Where the operator gets rows of a record, the largest first, behind the path of the knowledge models."""
    held = [
        (each, record)
        for each in sandbox.knowledge_models.values()
        if each.package in sandbox.studio.open_packages
        for record in each.records
    ]
    for model, record in sorted(held, key=lambda each: -len(each[1].rows)):
        shown = [each.id for each in record.fields if each.sortable][:3]
        if shown:
            yield f"/{model.id}/records/{record.id}/data?fields={','.join(shown)}&sort=-{shown[-1]}"


def _described(key: Key) -> str:
    client = f"    client id      {key.client_id}\n" if key.client_id else ""
    what = "client secret " if key.client_id else "key"
    return f"\n  {key.name}: {_KINDS[key.kind]}\n    {key.may}\n{client}    {what} {key.secret}\n"
