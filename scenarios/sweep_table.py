"""A sweep as a page of Markdown for docs/, and the same as metrics.json beside it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from uptheramp.calibrate.io.atomic import whole
from uptheramp.scenarios.dashboard.sweep_page import COLUMNS, KEY, in_plain
from uptheramp.scenarios.dashboard.view import Setting, SweepView
from uptheramp.validate import metrics_file
from uptheramp.validate.report_parts import limits
from uptheramp.validate.report_words import meaning, number


def write(path: Path, view: SweepView, command: str) -> None:
    """Write the page, and `.json` beside it where spectra were judged; `command` is what makes it again."""
    with whole(path) as temporary:
        temporary.write_text("\n".join(_lines(view, command)) + "\n", encoding="utf-8")
    found = [(mode, s) for mode, settings in view.modes.items() for s in settings]
    judged = [replace(s.metrics, mode=f"{mode}, {s.words}") for mode, s in found if s.metrics is not None]
    if judged:
        metrics_file.write(path.with_suffix(".json"), judged)


def _lines(view: SweepView, command: str) -> Iterator[str]:
    codes = sorted({s.code.commit or s.code.source for settings in view.modes.values() for s in settings})
    yield f"# {view.sweep.name[0].upper()}{view.sweep.name[1:]}\n"
    yield f"{view.sweep.summary} Made by `{command}` with version {', '.join(codes)} of the code.\n"
    yield KEY
    if view.missing:
        yield f"\n**{view.missing} cases are not answered yet.**"
    for mode, settings in view.modes.items():
        yield f"\n## {mode}\n"
        yield from _comparison(view.level, settings)
        for s in settings:
            yield from _judged(s)


def _comparison(level: str, settings: tuple[Setting, ...]) -> Iterator[str]:
    head = ["setting", "seeds", "verdict", "squared error against the first", *(meaning(m)[0] for m in COLUMNS[level])]
    yield from _rows(head)
    for s in settings:
        against = ""
        if s.difference is not None:
            against = f"{s.preference} ({number(s.difference.value * 100, s.difference.standard_error * 100)} %)"
        verdict = "reported" if s.metrics is None else s.metrics.verdict
        yield _row([s.words, str(s.seeds), verdict, against, *(in_plain(s.figure(m)) for m in COLUMNS[level])])


def _judged(s: Setting) -> Iterator[str]:
    """Every statistic of METRICS.md with what a perfect pipeline keeps."""
    if s.metrics is None:
        if s.case.level == "spectrum" and s.seeds > 1:
            yield f"\n### {s.case.mode}, {s.words}: nothing to judge, no bin has a depth in each of {s.seeds} seeds"
        return
    yield f"\n### {s.case.mode}, {s.words}: {s.metrics.verdict}, {s.seeds} seeds\n"
    yield from _rows(["statistic", "value", "a perfect pipeline keeps", "verdict"])
    for r in s.metrics.records:
        yield _row([r.name, f"{number(r.value, r.standard_error)} {r.unit}".strip(), limits(r), r.verdict])


def _rows(head: list[str]) -> Iterator[str]:
    yield _row(head)
    yield _row(["---"] * len(head))


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
