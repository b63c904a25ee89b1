"""How the schema came to be. Alembic runs `env.py` and the revisions; `bot.store.database` runs Alembic."""
