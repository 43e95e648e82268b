"""How a store of any age becomes one of today: steps in order, each run once and never changed afterwards.

To change a table: change schema.py, and add here the function that does it to a store that holds rows. A test makes a
store of every age and compares what comes out with schema.py.
"""

from collections.abc import Callable

import sqlalchemy as sa

from uptheramp.calibrate.errors import InputError

Migration = Callable[[sa.Connection], None]
version = sa.Table("schema_version", sa.MetaData(), sa.Column("number", sa.Integer, primary_key=True))


def _results(connection: sa.Connection) -> None:
    """1: cases, versions of the code, results and their metrics."""
    then = sa.MetaData()
    text, number, real = sa.Text, sa.Integer, sa.Float
    sa.Table("cases", then, *_columns(id=text), *_needed(scenario=text, mode=text, level=text, parameters=text))
    sa.Table("codes", then, *_columns(source=text), *_needed(package=text, commit_id=text, first_used=text))
    sa.Table(
        "results",
        then,
        *_columns(id=number),
        sa.Column("case_id", text, sa.ForeignKey("cases.id"), nullable=False),
        *_needed(seed=number, mirror=sa.Boolean),
        sa.Column("source", text, sa.ForeignKey("codes.source"), nullable=False),
        *_needed(grade=text, references_id=text, machine=text, started=text),
        *_needed(wall_s=real, cpu_s=real, peak_mb=real, arrays=sa.LargeBinary),
        sa.UniqueConstraint("case_id", "seed", "mirror", "source", name="one_answer"),
    )
    sa.Table(
        "metrics",
        then,
        sa.Column("result_id", number, sa.ForeignKey("results.id"), primary_key=True),
        *_columns(name=text, version=number),
        sa.Column("value", real),
        *_needed(unit=text),
        *(sa.Column(name, real) for name in ("standard_error", "limit_low", "limit_high")),
        *_needed(verdict=text, definition=text),
    )
    then.create_all(connection)


def _sweeps(connection: sa.Connection) -> None:
    """2: which cases belong to which sweep."""
    then, text, number = sa.MetaData(), sa.Text, sa.Integer
    sa.Table("cases", then, *_columns(id=text))
    sa.Table("sweeps", then, *_columns(name=text), *_needed(summary=text, definition=text))
    sa.Table(
        "members",
        then,
        sa.Column("sweep", text, sa.ForeignKey("sweeps.name"), primary_key=True),
        sa.Column("case_id", text, sa.ForeignKey("cases.id"), primary_key=True),
        *_needed(mode=text, point=number, knobs=text),
    )
    then.create_all(connection)


MIGRATIONS: tuple[Migration, ...] = (_results, _sweeps)


def _columns(**kinds: type) -> list[sa.Column]:
    return [sa.Column(name, kind, primary_key=True) for name, kind in kinds.items()]


def _needed(**kinds: type) -> list[sa.Column]:
    return [sa.Column(name, kind, nullable=False) for name, kind in kinds.items()]


def migrate(engine: sa.Engine, where: str, target: int = len(MIGRATIONS)) -> None:
    """Bring a store to version `target`, all or nothing.

    Raises
    ------
    InputError
        If the store is newer than this code, or no store at all.
    """
    with engine.begin() as connection:
        version.create(connection, checkfirst=True)
        have = connection.scalar(sa.select(sa.func.max(version.c.number))) or 0
        if have > len(MIGRATIONS):
            raise InputError(f"{where}: a store of version {have}, this code knows {len(MIGRATIONS)}; update uptheramp")
        for number in range(have + 1, target + 1):
            MIGRATIONS[number - 1](connection)
            connection.execute(version.insert().values(number=number))
