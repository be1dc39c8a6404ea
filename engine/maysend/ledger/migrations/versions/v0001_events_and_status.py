"""Events, the status they add up to, the groups seen so far, and the tombstones of erased people."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("event_id", sa.Text, nullable=False, unique=True),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("group_name", sa.Text, nullable=False),
        sa.Column("subscribed", sa.Boolean, nullable=False),
        sa.Column("type", sa.Text),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("campaign", sa.Text),
        sa.Column("campaign_type", sa.Text),
        sa.Column("variant", sa.Text),
        sa.Column("revision", sa.Text),
        sa.Column("text_hash", sa.Text),
        sa.Column("address", sa.Text),
        sa.Column("profile", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("address_salt", sa.LargeBinary),
        sa.Column("profile_salt", sa.LargeBinary),
        sa.Column("reason_salt", sa.LargeBinary),
        sa.Column("address_digest", sa.LargeBinary),
        sa.Column("profile_digest", sa.LargeBinary),
        sa.Column("reason_digest", sa.LargeBinary),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Index("events_address", "address"),
        sa.Index("events_profile", "profile"),
    )
    op.create_table(
        "status",
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("channel", sa.Text, primary_key=True),
        sa.Column("level", sa.Text, primary_key=True),
        sa.Column("group_name", sa.Text, primary_key=True),
        sa.Column("answer", sa.SmallInteger, nullable=False),
        sa.Column("answered_at", sa.BigInteger),
        sa.Column("source", sa.Text),
        sa.Column("in_force", sa.SmallInteger, nullable=False),
        sa.Column("suppressed", sa.Boolean, nullable=False),
        sa.Column("types", sa.Text, nullable=False),
        sa.Column("last_yes", sa.BigInteger),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Index("status_seq", "seq"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "known_groups",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("default_status", sa.Text, nullable=False),
    )
    op.create_table(
        "tombstones",
        sa.Column("channel", sa.Text, primary_key=True),
        sa.Column("level", sa.Text, primary_key=True),
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("erased_at", sa.BigInteger, nullable=False),
    )
