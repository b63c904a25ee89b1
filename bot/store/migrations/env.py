"""Alembic's entry: `bot.store.database` hands it a connection that is already in the transaction of the upgrade."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
