"""What people may name here: lists shared by everybody, what one view shows of them, and names made into ids."""

from bot.catalog.catalog import Alternative, Catalog, Resolution, label_of
from bot.catalog.listing import Item, Seen, Turns, matching
from bot.catalog.lists import Lists

__all__ = [
    "Alternative",
    "Catalog",
    "Item",
    "Lists",
    "Resolution",
    "Seen",
    "Turns",
    "label_of",
    "matching",
]
