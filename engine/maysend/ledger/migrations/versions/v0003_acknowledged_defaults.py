"""Why the last change of a group's default was meant: the same words do not stand for the next one."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("known_groups", sa.Column("acknowledged", sa.Text))
