"""What Alembic runs: the steps, in the transaction of the connection that ``stores.migrate`` hands over."""

from alembic import context

from maysend.ledger.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table="maysend_schema"
)
context.run_migrations()
