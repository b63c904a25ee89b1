"""What the bot remembers, on SQLite or PostgreSQL; the only package that knows SQLAlchemy."""

from bot.store.store import Default, DefaultOf, Defaults, Snapshot, Store

__all__ = ["Default", "DefaultOf", "Defaults", "Snapshot", "Store"]
