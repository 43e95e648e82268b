"""The store: one SQLite file by default, any database that SQLAlchemy reaches by its URL.

Everything is written in whole transactions: a process that is killed leaves what it had finished and nothing half done.
"""

import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, OperationalError

from uptheramp.calibrate.errors import InputError
from uptheramp.scenarios.identity import Code
from uptheramp.scenarios.store import schema
from uptheramp.scenarios.store.migrations import migrate
from uptheramp.scenarios.store.rows import Case, Key, Member, Result, StoredSweep
from uptheramp.validate.record import Record

DEFAULT = Path("uptheramp-store.sqlite")
BUSY_S = 60  # a writer waits so long for another one


@dataclass(frozen=True)
class Wanted:
    """Which results: None is no restriction."""

    cases: Sequence[str] | None = None
    mode: str | None = None
    scenario: str | None = None
    level: str | None = None
    source: str | None = None


@dataclass(frozen=True)
class CodeUse:
    """A version of the code and when the store first saw it."""

    code: Code
    first_used: str


class Store:
    """Results by question, seed and version of the code."""

    def __init__(self, where: str | Path = DEFAULT, *, new: bool = True):
        """Open a store; with `new` it is made where there is none.

        Raises
        ------
        InputError
            If there is none and `new` is false, if it cannot be opened, is no store, or is newer than this code.
        """
        self.where = str(where)
        url = self.where if "://" in self.where else f"sqlite:///{self.where}"
        self.path = Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None
        if self.path is not None:
            if not new and not self.path.is_file():
                raise InputError(f"{self.path}: no such store; `uptheramp sweep` makes one (--store FILE)")
            self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.engine = sa.create_engine(url, poolclass=sa.pool.NullPool)  # no connection is left open
            if self.engine.dialect.name == "sqlite":
                sa.event.listen(self.engine, "connect", _sqlite)
                # a transaction that begins to write later could not wait for another writer
                sa.event.listen(self.engine, "begin", lambda c: c.exec_driver_sql("BEGIN IMMEDIATE"))
            migrate(self.engine, self.where)
        except (OperationalError, DatabaseError) as error:
            raise InputError(f"{self.where}: cannot be opened as a store ({error.orig})") from None
        except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ModuleNotFoundError) as error:
            raise InputError(f"{self.where}: no store can be reached there ({error})") from None

    def add(self, results: Iterable[Result]) -> None:
        """Keep results, all or none; one that is there already stays as it was.

        Raises
        ------
        InputError
            If a case is known with other values under the same id: a default was changed (identity.py).
        """
        with self.engine.begin() as connection:
            for r in results:
                self._add(connection, r)

    def _add(self, connection: sa.Connection, r: Result) -> None:
        _case(connection, r.case)
        if not _exists(connection, schema.code.c.source == r.code.source):
            row = {"source": r.code.source, "package": r.code.package, "commit_id": r.code.commit}
            connection.execute(schema.code.insert().values(**row, first_used=r.started))
        t = schema.result.c
        same = (t.case_id == r.case.id, t.seed == r.seed, t.mirror == r.mirror, t.source == r.code.source)
        if _exists(connection, *same):
            return
        added = connection.execute(
            schema.result.insert().values(
                case_id=r.case.id,
                seed=r.seed,
                mirror=r.mirror,
                source=r.code.source,
                grade=r.grade,
                references_id=r.references,
                machine=json.dumps(r.machine, sort_keys=True),
                started=r.started,
                wall_s=r.wall_s,
                cpu_s=r.cpu_s,
                peak_mb=r.peak_mb,
                arrays=_packed(r.arrays),
            )
        )
        assert added.inserted_primary_key is not None  # a single row was added
        rows = [{"result_id": added.inserted_primary_key[0], **_metric(record)} for record in r.records]
        if rows:
            connection.execute(schema.metric.insert(), rows)

    def done(self, keys: Iterable[Key]) -> set[Key]:
        """Those of the keys that are answered."""
        wanted = set(keys)
        t = schema.result.c
        query = sa.select(t.case_id, t.seed, t.mirror, t.source).where(t.source.in_({k.source for k in wanted}))
        with self.engine.connect() as connection:
            return {Key(*row) for row in connection.execute(query)} & wanted

    def results(self, wanted: Wanted = Wanted(), *, arrays: bool = True) -> list[Result]:
        """The results asked for, ordered by case, code, seed; without `arrays` they come faster."""
        r, c, k = schema.result, schema.case, schema.code
        columns = [r.c.id, r.c.seed, r.c.mirror, r.c.grade, r.c.references_id, r.c.machine, r.c.started]
        columns += [r.c.wall_s, r.c.cpu_s, r.c.peak_mb, r.c.case_id, c.c.scenario, c.c.mode, c.c.level, c.c.parameters]
        columns += [k.c.source, k.c.package, k.c.commit_id, *([r.c.arrays] if arrays else [])]
        joined = r.join(c, r.c.case_id == c.c.id).join(k, r.c.source == k.c.source)
        order = (r.c.case_id, k.c.first_used, r.c.seed, r.c.mirror)
        query = sa.select(*columns).select_from(joined).where(*_conditions(wanted)).order_by(*order)
        figures = sa.select(schema.metric).select_from(schema.metric.join(joined, schema.metric.c.result_id == r.c.id))
        records: dict[int, list[Record]] = {}
        with self.engine.connect() as connection:
            for row in connection.execute(
                figures.where(*_conditions(wanted)).order_by(schema.metric.c.name)
            ).mappings():
                records.setdefault(row["result_id"], []).append(_record(row))
            return [_result(row, tuple(records.get(row["id"], ()))) for row in connection.execute(query).mappings()]

    def codes(self) -> list[CodeUse]:
        """Versions of the code that answered something, oldest first."""
        query = sa.select(schema.code).order_by(schema.code.c.first_used)
        with self.engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        return [CodeUse(Code(r["source"], r["package"], r["commit_id"]), r["first_used"]) for r in rows]

    def keep_sweep(self, sweep: StoredSweep, cases: Iterable[Case]) -> None:
        """Keep the definition of a sweep in place of an older one of the same name."""
        with self.engine.begin() as connection:
            for case in cases:
                _case(connection, case)
            connection.execute(schema.member.delete().where(schema.member.c.sweep == sweep.name))
            connection.execute(schema.sweep.delete().where(schema.sweep.c.name == sweep.name))
            row = {"name": sweep.name, "summary": sweep.summary, "definition": json.dumps(sweep.definition)}
            connection.execute(schema.sweep.insert().values(**row))
            rows = [
                {"sweep": sweep.name, "case_id": m.case, "mode": m.mode, "point": m.point, "knobs": json.dumps(m.knobs)}
                for m in sweep.members
            ]
            if rows:
                connection.execute(schema.member.insert(), rows)

    def sweeps(self) -> list[StoredSweep]:
        """All sweeps, by name, with their members by point and mode."""
        m = schema.member.c
        with self.engine.connect() as connection:
            heads = connection.execute(sa.select(schema.sweep).order_by(schema.sweep.c.name)).mappings().all()
            rows = connection.execute(sa.select(schema.member).order_by(m.sweep, m.point, m.mode)).mappings().all()
        members = [
            (row["sweep"], Member(row["case_id"], row["mode"], row["point"], json.loads(row["knobs"]))) for row in rows
        ]
        return [
            StoredSweep(
                h["name"],
                h["summary"],
                json.loads(h["definition"]),
                tuple(member for name, member in members if name == h["name"]),
            )
            for h in heads
        ]


def _sqlite(connection: Any, _: Any) -> None:
    """Readers beside one writer; transactions are ours (the driver would run table changes outside of them)."""
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", f"busy_timeout={BUSY_S * 1000}", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _exists(connection: sa.Connection, *conditions: Any) -> bool:
    return connection.scalar(sa.select(sa.literal(1)).where(*conditions).limit(1)) is not None


def _case(connection: sa.Connection, case: Case) -> None:
    t = schema.case.c
    known = connection.scalar(sa.select(t.parameters).where(t.id == case.id))
    if known is None:
        row = {"id": case.id, "scenario": case.scenario, "mode": case.mode, "level": case.level}
        connection.execute(schema.case.insert().values(**row, parameters=json.dumps(case.parameters, sort_keys=True)))
        return
    changed = sorted(_differing(json.loads(known), case.parameters))
    if changed:
        raise InputError(
            f"case {case.id} ({case.scenario}, {case.mode}) is in the store with another {', '.join(changed)}: the "
            "meaning of an id never changes; use another store, or raise ID_VERSION with the default that was changed"
        )


def _differing(known: Any, now: Any, path: str = "") -> Iterable[str]:
    """Paths of values that both trees have and that differ; keys that only one has came or went with a default."""
    if isinstance(known, dict) and isinstance(now, dict):
        for key in known.keys() & now.keys():
            yield from _differing(known[key], now[key], f"{path}.{key}" if path else key)
    elif known != now:
        yield path


def _conditions(wanted: Wanted) -> list[Any]:
    pairs = (
        (schema.case.c.mode, wanted.mode),
        (schema.case.c.scenario, wanted.scenario),
        (schema.case.c.level, wanted.level),
        (schema.code.c.source, wanted.source),
    )
    found = [column == value for column, value in pairs if value is not None]
    return found if wanted.cases is None else [*found, schema.case.c.id.in_(list(wanted.cases))]


def _metric(record: Record) -> dict[str, Any]:
    row = dict(vars(record))
    return row | {"value": record.value if math.isfinite(record.value) else None}


def _record(row: Any) -> Record:
    values = {name: row[name] for name in row if name != "result_id"}
    return Record(**{**values, "value": math.nan if values["value"] is None else values["value"]})


def _result(row: Any, records: tuple[Record, ...]) -> Result:
    return Result(
        case=Case(row["case_id"], row["scenario"], row["mode"], row["level"], json.loads(row["parameters"])),
        seed=row["seed"],
        mirror=row["mirror"],
        code=Code(row["source"], row["package"], row["commit_id"]),
        grade=row["grade"],
        references=row["references_id"],
        records=records,
        arrays=_unpacked(row["arrays"]) if "arrays" in row else {},
        machine=json.loads(row["machine"]),
        started=row["started"],
        wall_s=row["wall_s"],
        cpu_s=row["cpu_s"],
        peak_mb=row["peak_mb"],
    )


def _packed(arrays: dict[str, np.ndarray]) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **{name: np.asarray(value) for name, value in arrays.items()})
    return stream.getvalue()


def _unpacked(content: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(content)) as arrays:
        return dict(arrays)
