"""The tables as they are now. How older files become so is in migrations.py."""

import sqlalchemy as sa

metadata = sa.MetaData()

case = sa.Table(
    "cases",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("scenario", sa.Text, nullable=False),
    sa.Column("mode", sa.Text, nullable=False),
    sa.Column("level", sa.Text, nullable=False),
    sa.Column("parameters", sa.Text, nullable=False),  # JSON
)

code = sa.Table(
    "codes",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("package", sa.Text, nullable=False),
    sa.Column("commit_id", sa.Text, nullable=False),
    sa.Column("first_used", sa.Text, nullable=False),
)

result = sa.Table(
    "results",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("case_id", sa.Text, sa.ForeignKey("cases.id"), nullable=False),
    sa.Column("seed", sa.Integer, nullable=False),
    sa.Column("mirror", sa.Boolean, nullable=False),
    sa.Column("source", sa.Text, sa.ForeignKey("codes.source"), nullable=False),
    sa.Column("grade", sa.Text, nullable=False),
    sa.Column("references_id", sa.Text, nullable=False),
    sa.Column("machine", sa.Text, nullable=False),  # JSON
    sa.Column("started", sa.Text, nullable=False),
    sa.Column("wall_s", sa.Float, nullable=False),
    sa.Column("cpu_s", sa.Float, nullable=False),
    sa.Column("peak_mb", sa.Float, nullable=False),
    sa.Column("arrays", sa.LargeBinary, nullable=False),  # npz
    sa.UniqueConstraint("case_id", "seed", "mirror", "source", name="one_answer"),
)

metric = sa.Table(
    "metrics",
    metadata,
    sa.Column("result_id", sa.Integer, sa.ForeignKey("results.id"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("value", sa.Float),  # NULL: not finite
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("standard_error", sa.Float),
    sa.Column("limit_low", sa.Float),
    sa.Column("limit_high", sa.Float),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("definition", sa.Text, nullable=False),
)

sweep = sa.Table(
    "sweeps",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("summary", sa.Text, nullable=False),
    sa.Column("definition", sa.Text, nullable=False),  # JSON
)

member = sa.Table(
    "members",
    metadata,
    sa.Column("sweep", sa.Text, sa.ForeignKey("sweeps.name"), primary_key=True),
    sa.Column("case_id", sa.Text, sa.ForeignKey("cases.id"), primary_key=True),
    sa.Column("mode", sa.Text, nullable=False),
    sa.Column("point", sa.Integer, nullable=False),
    sa.Column("knobs", sa.Text, nullable=False),  # JSON
)
