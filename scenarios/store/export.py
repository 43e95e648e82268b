"""The store as one tidy table: a row for each metric of each result."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.atomic import whole
from uptheramp.scenarios.store.rows import Result


def tidy(results: Iterable[Result]) -> list[dict[str, Any]]:
    """Rows of plain values, every one with the same keys."""
    return [
        {
            "case": r.case.id,
            "scenario": r.case.scenario,
            "mode": r.case.mode,
            "level": r.case.level,
            "parameters": json.dumps(r.case.parameters, sort_keys=True),
            "seed": r.seed,
            "mirror": r.mirror,
            "source": r.code.source,
            "package": r.code.package,
            "commit": r.code.commit,
            "grade": r.grade,
            "references": r.references,
            "machine": json.dumps(r.machine, sort_keys=True),
            "started": r.started,
            "wall_s": r.wall_s,
            "cpu_s": r.cpu_s,
            "peak_mb": r.peak_mb,
            "metric": record.name,
            "metric_version": record.version,
            "value": record.value,
            "unit": record.unit,
            "standard_error": record.standard_error,
            "limit_low": record.limit_low,
            "limit_high": record.limit_high,
            "verdict": record.verdict,
        }
        for r in results
        for record in r.records
    ]


def write(path: Path, results: Iterable[Result]) -> int:
    """Write CSV or parquet, by the ending of the name; returns the number of rows.

    Raises
    ------
    InputError
        For another ending, if nothing is to be written, or if parquet needs a package that is not there.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise InputError(f"{path}: end the name in .csv or .parquet")
    rows = tidy(results)
    if not rows:
        raise InputError(f"{path}: nothing to export; see `uptheramp results` without filters")
    if path.suffix == ".parquet":
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ModuleNotFoundError:
            raise InputError(
                f"{path}: parquet needs pyarrow; pip install 'uptheramp[parquet]', or end in .csv"
            ) from None
        with whole(path) as temporary:
            parquet.write_table(pa.Table.from_pylist(rows), temporary)
        return len(rows)
    with whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)
