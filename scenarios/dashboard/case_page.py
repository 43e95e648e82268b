"""The page of a case: everything that is known of one question, by the newest code that answered it."""

import json
from html import escape

import numpy as np

from uptheramp.scenarios.dashboard.shell import Page, drawn, table
from uptheramp.scenarios.dashboard.sweep_page import case_file, in_cell
from uptheramp.scenarios.dashboard.view import Setting, figure
from uptheramp.validate.figures.interactive.bias_spectrum import bias_spectrum
from uptheramp.validate.report_parts import block, metrics_table, rows_table
from uptheramp.validate.report_words import meaning, mode_sentence, number


def case_page(s: Setting) -> Page:
    """The page of a setting."""
    parts = []
    if s.metrics is not None:
        columns = {name: np.array(values) for name, values in s.metrics.bins.items()}
        names = ("wavelength_um", "bias_ppm", "bias_error_ppm", "algorithmic_ppm", "rmse_ppm")
        caption = "Points should scatter about zero by their error bars; the grey band is what one visit is off by."
        parts.append(f"<p class='lead'>{escape(mode_sentence(s.metrics))}</p>")
        parts.append(drawn(bias_spectrum(*(columns[n] for n in names)), "Error of the depth by wavelength", caption))
        parts.append(block("In numbers", metrics_table(s.metrics.records)))
    parts.append(block("By seed", _seeds(s)))
    parts.append(block("Where it comes from", rows_table(_origin(s))))
    parts.append(
        block("The question in full", f"<pre><code>{escape(json.dumps(s.case.parameters, indent=1))}</code></pre>")
    )
    lead = f"{s.case.scenario}, {s.words}; {s.seeds} seeds, level {s.case.level}."
    return Page(case_file(s.case.id), s.case.mode, lead, "".join(parts))


def _seeds(s: Setting) -> str:
    names = list(dict.fromkeys(r.name for result in s.results for r in result.records))
    rows = [["<strong>mean</strong>", *(in_cell(figure(s.results, name)) for name in names)]]
    for r in s.results:
        cells = [r.value(name) for name in names]
        seed = f"{r.seed}{' mirror' if r.mirror else ''}"
        rows.append([seed, *("" if v is None else escape(number(v)) for v in cells)])
    return table(["seed", *(meaning(name)[0] for name in names)], rows)


def _origin(s: Setting) -> tuple[tuple[str, str], ...]:
    r = s.results[0]
    total = sum(x.wall_s for x in s.results)
    return (
        ("id of the case", s.case.id),
        ("code", f"{s.code.package}, {s.code.commit or 'no repository'}, source {s.code.source}"),
        ("references", f"{r.grade}, {r.references}"),
        ("machine", ", ".join(f"{k} {v}" for k, v in r.machine.items())),
        ("time taken", f"{total / 60:.1f} minutes for {len(s.results)} exposures, {r.peak_mb:.0f} MB at most"),
    )
