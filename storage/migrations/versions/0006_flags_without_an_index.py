"""No index over the mod-sequences of messages.

Revision ID: 0006
Revises: 0005
Reason: each change of flags had to mend it, which took longer than the change; a sweep of the folder
finds what changed as well.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_entry_mailbox_id_modseq", table_name="entry")


def downgrade() -> None:
    op.create_index("ix_entry_mailbox_id_modseq", "entry", ["mailbox_id", "modseq"], unique=False)
