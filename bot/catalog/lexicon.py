"""The lists of a catalog as `bot.language` looks names up in them."""

from __future__ import annotations

from bot.catalog.listing import Seen
from bot.language.lexicon import Entity, NameList
from bot.language.vocabulary import Vocabulary


async def name_list(seen: Seen, words: Vocabulary, synonyms: dict[str, str]) -> NameList:
    """What a view shows of a list, with the index that everybody shares."""
    index = await seen.listing.indexed(words)
    bits = seen.bits

    def entity(number: int) -> Entity:
        item = seen.item(number)
        return Entity(item.kind, item.as_name, item.within, item.about)

    return NameList(
        seen.listing.kind,
        index,
        seen.listing.folded(),
        seen.called,
        lambda number: bool(bits >> number & 1),
        entity,
        synonyms,
    )
