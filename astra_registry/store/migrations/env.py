"""Where Alembic begins: it runs the revisions on the connection that it is given."""

from alembic import context

from astra_registry.store.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    # Also on SQLite, whose DDL is as transactional as any when the transaction is opened by hand, as ours is.
    transactional_ddl=True,
)
context.run_migrations()
