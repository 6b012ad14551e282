"""Notes on folders and accounts (RFC 5464).

Revision ID: 0005
Revises: 0004
Reason: mail programs keep what they know of a folder at the server, for the next device.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "annotations",
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("mailbox_id", sa.String(length=32), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_annotations_account_id_accounts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("account_id", "mailbox_id", "entry", name=op.f("pk_annotations")),
    )


def downgrade() -> None:
    """What owners wrote would be lost."""
    raise NotImplementedError("there is no way back")
