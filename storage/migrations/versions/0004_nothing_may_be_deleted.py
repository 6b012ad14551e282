"""Accounts under a legal hold.

Revision ID: 0004
Revises: 0003
Reason: what a court wants to see must outlive retention rules, the purge and its owner's deletions.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts", sa.Column("legal_hold_at", sa.BigInteger(), nullable=True))
    op.add_column(
        "accounts",
        sa.Column("legal_hold_reason", sa.Text(), nullable=False, server_default=sa.text("''")),
    )


def downgrade() -> None:
    """The older program would delete what must be kept."""
    raise NotImplementedError("there is no way back")
