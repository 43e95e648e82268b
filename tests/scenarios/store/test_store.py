"""The store keeps what it is given, whole, once, and across its own versions."""

import csv
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace

import numpy as np
import pytest
import sqlalchemy as sa

from uptheramp.calibrate.errors import InputError
from uptheramp.scenarios.cli import main
from uptheramp.scenarios.identity import Code
from uptheramp.scenarios.store import export, migrations, schema
from uptheramp.scenarios.store.rows import Case, Member, Result, StoredSweep
from uptheramp.scenarios.store.store import Store, Wanted
from uptheramp.scenarios.store.summary import summaries
from uptheramp.validate.record import Record

CODE = Code("abc", "0.1.0", "f00+")
CASE = Case("c1", "toy", "prism", "spectrum", {"star": {"k_mag": 9.0}})


def result(seed=1, value=2.0, case=CASE, code=CODE, mirror=False):
    records = (
        Record(name="mean_bias", value=value, unit="ppm", definition="mean", standard_error=3.0, limit_high=4.0),
        Record(name="beta", value=float("nan"), unit="", definition="red", verdict="fail", version=2),
    )
    return Result(
        case=case,
        seed=seed,
        mirror=mirror,
        code=code,
        grade="estimated",
        references="r1",
        records=records,
        arrays={"depth": np.arange(3.0) * value, "covariance": np.eye(3)},
        machine={"jax": "1"},
        started="2026-11-25T12:00:00+00:00",
        wall_s=1.5,
        cpu_s=2.5,
        peak_mb=900.0,
    )


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store.sqlite")


def test_a_result_comes_back_as_it_was(store):
    store.add([result()])
    (back,) = Store(store.where, new=False).results()
    given = result()
    for f in fields(Result):
        if f.name not in ("records", "arrays"):
            assert getattr(back, f.name) == getattr(given, f.name), f.name
    assert {r.name: repr(r) for r in back.records} == {r.name: repr(r) for r in given.records}
    for name, array in given.arrays.items():
        np.testing.assert_array_equal(back.arrays[name], array)


def test_what_is_there_stays_and_half_a_batch_is_none(store):
    store.add([result(value=2.0)])
    store.add([result(value=99.0), result(seed=2)])
    assert [r.value("mean_bias") for r in store.results()] == [2.0, 2.0]
    broken = replace(result(seed=4), records=result().records * 2)  # the same metric twice
    with pytest.raises(sa.exc.IntegrityError):
        store.add([result(seed=3), broken])
    assert [r.seed for r in store.results(arrays=False)] == [1, 2]
    asked = {result(seed=s).key for s in (1, 2, 3)}
    assert {k.seed for k in store.done(asked)} == {1, 2}


def test_filters(store):
    other = replace(CASE, id="c2", mode="miri")
    store.add([result(), result(case=other), result(code=Code("def", "0.2.0", "f01"))])
    assert len(store.results(Wanted(mode="miri"))) == 1
    assert len(store.results(Wanted(cases=["c1"]))) == 2
    assert len(store.results(Wanted(source="def"))) == 1
    assert not store.results(Wanted(level="rate"))
    assert {use.code.source for use in store.codes()} == {"abc", "def"}


def test_the_meaning_of_an_id_never_changes(store):
    store.add([result()])
    with pytest.raises(InputError, match="another star.k_mag: the meaning"):
        store.add([result(seed=2, case=replace(CASE, parameters={"star": {"k_mag": 9.5}}))])
    # a key that came later, with a default that changes nothing, is another matter
    store.add([result(seed=2, case=replace(CASE, parameters={"star": {"k_mag": 9.0, "spots": 0}}))])
    assert len(store.results()) == 2


@pytest.mark.parametrize("age", range(len(migrations.MIGRATIONS) + 1))
def test_a_store_of_any_age_becomes_one_of_today(tmp_path, age):
    path = tmp_path / "old.sqlite"
    engine = sa.create_engine(f"sqlite:///{path}")
    migrations.migrate(engine, str(path), age)
    if age:
        with engine.begin() as connection:
            row = {"id": "c1", "scenario": "toy", "mode": "prism", "level": "rate", "parameters": "{}"}
            connection.execute(schema.case.insert().values(**row))
    engine.dispose()
    store = Store(path, new=False)
    inspector = sa.inspect(store.engine)
    for name, table in schema.metadata.tables.items():
        columns = {c["name"]: c for c in inspector.get_columns(name)}
        assert list(columns) == [c.name for c in table.columns]
        for column in table.columns:
            assert columns[column.name]["nullable"] == (column.nullable and not column.primary_key)
            assert str(columns[column.name]["type"]) == column.type.compile(store.engine.dialect)
        assert inspector.get_pk_constraint(name)["constrained_columns"] == [c.name for c in table.primary_key]
        keys = {tuple(k["constrained_columns"]): k["referred_table"] for k in inspector.get_foreign_keys(name)}
        assert keys == {(f.parent.name,): f.column.table.name for f in table.foreign_keys}
    with store.engine.connect() as connection:
        assert len(connection.execute(sa.select(schema.case)).all()) == bool(age)
    store.add([result(case=replace(CASE, id="c9"))])


def test_a_store_from_the_future_and_no_store_are_refused(tmp_path, store):
    with store.engine.begin() as connection:
        connection.execute(migrations.version.insert().values(number=99))
    with pytest.raises(InputError, match="version 99"):
        Store(store.where)
    junk = tmp_path / "junk.sqlite"
    junk.write_text("this is no database, whatever its name says" * 50)
    with pytest.raises(InputError, match="junk.sqlite: cannot be opened as a store"):
        Store(junk)
    with pytest.raises(InputError, match="no such store"):
        Store(tmp_path / "missing.sqlite", new=False)
    assert not (tmp_path / "missing.sqlite").exists()


def test_many_writers(tmp_path):
    path = tmp_path / "busy.sqlite"
    Store(path)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda seed: Store(path).add([result(seed=seed)]), range(24)))
    assert [r.seed for r in Store(path).results(arrays=False)] == list(range(24))


def test_a_sweep_is_kept_in_place_of_its_older_self(store):
    for threshold in (4.0, 5.0):
        members = (Member("c1", "prism", 0, {"jump.rejection_threshold": threshold}),)
        store.keep_sweep(StoredSweep("s", "what", {"seeds": 3}, members), [CASE])
    (back,) = store.sweeps()
    assert back.members[0].knobs == {"jump.rejection_threshold": 5.0}
    assert back.definition == {"seeds": 3}


def test_summaries_leave_antitheses_and_nan_out():
    rows = [result(seed=s, value=v) for s, v in ((1, 1.0), (2, 3.0), (3, float("nan")))] + [
        result(9, 77.0, mirror=True)
    ]
    (bias,) = summaries(rows, ["mean_bias"])
    assert (bias.seeds, bias.mean, bias.standard_error) == (2, 2.0, 1.0)


def test_export(tmp_path, store):
    store.add([result(seed=s) for s in (1, 2)])
    rows = store.results(arrays=False)
    assert export.write(tmp_path / "all.csv", rows) == 4
    with (tmp_path / "all.csv").open() as stream:
        read = list(csv.DictReader(stream))
    assert [float(r["value"]) for r in read if r["metric"] == "mean_bias"] == [2.0, 2.0]
    assert json.loads(read[0]["parameters"]) == CASE.parameters
    parquet = pytest.importorskip("pyarrow.parquet")
    export.write(tmp_path / "all.parquet", rows)
    table = parquet.read_table(tmp_path / "all.parquet").to_pylist()
    assert [r["value"] for r in table if r["metric"] == "mean_bias"] == [2.0, 2.0]
    assert table[0].keys() == read[0].keys()
    with pytest.raises(InputError, match="end the name in"):
        export.write(tmp_path / "all.xlsx", rows)


def test_results_on_the_shell(store, monkeypatch, capsys):
    store.add([result(seed=s, value=float(s)) for s in (1, 3)])

    def shell(*words):
        monkeypatch.setattr(sys, "argv", ["uptheramp", "results", "--store", store.where, *words])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code, capsys.readouterr()

    monkeypatch.setenv("COLUMNS", "200")
    code, text = shell("--metric", "mean_bias")
    assert code == 0
    assert "2.0 ± 1.0" in text.out
    code, text = shell("--seeds", "--metric", "beta")
    assert text.out.count("fail") == 2
    code, text = shell("--mode", "nowhere")
    assert code == 2
    assert "nothing that fits" in text.err
    code, text = shell("--code", "zzz")
    assert "no version of the code named zzz" in text.err
