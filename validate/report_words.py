"""What the numbers are called and mean, for a person; and the verdict in words."""

from uptheramp.validate.metrics_file import ModeMetrics
from uptheramp.validate.record import FAIL, NOT_DECIDED, PASS, REPORTED
from uptheramp.validate.report_types import Report

# name of a record -> (title, what it means)
MEANING = {
    "chi_square": ("Size of the error bars", "1 if errors are honest; above: errors too small, below: too large."),
    "coverage_68": ("Truth within 1 σ", "How often the truth lies inside the error bar."),
    "coverage_95": ("Truth within 2 σ", "How often the truth lies inside twice the error bar."),
    "worst_bin": ("Worst bin", "The largest mean error of any wavelength bin."),
    "worst_bin_quantile_95": ("Worst bin by chance", "What 95 of 100 perfect pipelines stay below."),
    "mean_square_error": ("Mean square error", "Bias and scatter together, against the claimed variance."),
    "mean_bias": ("Depth offset", "Is the whole spectrum too deep or too shallow?"),
    "mean_bias_equivalence": ("Depth offset, at most", "An offset larger than this is excluded."),
    "slope_bias": ("Depth tilt", "Error that grows from one end of the spectrum to the other."),
    "slope_bias_equivalence": ("Depth tilt, at most", "A tilt larger than this is excluded."),
    "mean_bias_algorithmic": ("Offset without noise", "What the algorithms alone do to a noise-free exposure."),
    "mean_bias_noise_induced": ("Offset through noise", "What noise adds on average."),
    "out_of_transit_rms": ("Scatter of white light", "Point-to-point scatter out of transit."),
    "scatter_ratio_pr": ("Scatter over photon and read noise", "1 is as good as photons and read noise allow."),
    "scatter_ratio_all": ("Scatter over all known noise", "1 is as good as all known noise allows."),
    "beta_quarter": ("Red noise over a quarter transit", "1 is white noise."),
    "beta_full": ("Red noise over a transit", "1 is white noise."),
    "bins_left_out": ("Bins left out", "Wavelength bins in which nothing usable was recovered."),
    "mid_transit_time": ("Mid-transit time", "Recovered minus true."),
    "mid_transit_time_algorithmic": ("Mid-transit time without noise", "What the algorithms alone do to it."),
    "bins_lost": ("Bins lost", "Wavelength bins of a visit in which nothing usable was recovered."),
    "depth_rms": ("Error against the truth", "Root mean square over bins of recovered minus true depth."),
    "depth_error": ("Claimed error", "The error bar that the pipeline states, root mean square over bins."),
    "pull_variance": ("Squared pull", "1 if error bars are honest, more if they are too small."),
    "slope_bias_algorithmic": ("Tilt without noise", "What the algorithms alone do to a noise-free exposure."),
    "rate_bias_all": ("Bias of slopes", "Mean error of all lit pixels, in units of the best possible error."),
    "rate_bias_faint": ("Bias of faint slopes", "The same where a ramp collects fewer than 1000 electrons."),
    "rate_bias_middle": ("Bias of middle slopes", "The same from 1000 to 10 000 electrons."),
    "rate_bias_bright": ("Bias of bright slopes", "The same above 10 000 electrons."),
    "rate_noise_all": ("Noise of slopes", "Scatter over integrations; 1 is the best that photons and reads allow."),
    "rate_rms_all": ("Error of slopes", "Bias and noise together, root mean square."),
    "rate_error": ("Claimed error of slopes", "1 if the stated errors equal the best possible ones."),
    "rate_lost": ("Slopes lost", "Fraction of the slopes of lit pixels that are not usable."),
}

MARK = {PASS: "✓", FAIL: "✗", NOT_DECIDED: "…", REPORTED: "·"}
SHORT = {PASS: "recovered", FAIL: "not recovered", NOT_DECIDED: "consistent, not decided"}


def meaning(name: str) -> tuple[str, str]:
    """Title and meaning of a record's name; a name unknown here stands for itself."""
    return MEANING.get(name, (name.replace("_", " ").capitalize(), ""))


def number(value: float, error: float | None = None) -> str:
    """A number with the digits that its error (two significant ones) or its own size (four) justify."""
    if error is None or not error > 0.0:
        return f"{value:,.0f}" if 1e3 <= abs(value) < 1e9 else f"{value:.4g}"
    decimals = 0
    while error * 10**decimals < 9.95 and decimals < 12:
        decimals += 1
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def mode_sentence(metrics: ModeMetrics) -> str:
    """One sentence on one mode: recovered, not (and in what), or open (and why)."""
    failed = [meaning(r.name)[0].lower() for r in metrics.records if r.verdict == FAIL]
    if failed:
        return f"Outside the limits of a perfect pipeline in: {', '.join(failed)}."
    if metrics.verdict == PASS:
        return "Every figure is inside the limits of a perfect pipeline, and any bias is too small to matter."
    what = "One simulated visit is" if metrics.seeds == 1 else f"{metrics.seeds} simulated visits are"
    return (
        f"Nothing contradicts the truth. {what} too few to say that any bias is small enough; the table says how many."
    )


def headline(report: Report) -> tuple[str, str]:
    """The verdict on the whole report as (verdict, sentence)."""
    judged = [m.metrics for m in report.modes if m.metrics is not None]
    if not judged:
        return REPORTED, "Reduced. There is no truth to compare a real exposure with."
    failed = [m.title for m in report.modes if m.metrics is not None and m.metrics.verdict == FAIL]
    if failed:
        return FAIL, f"What went in did not come out of {', '.join(failed)}."
    if all(m.verdict == PASS for m in judged):
        return PASS, "What went in came out."
    return NOT_DECIDED, "What came out agrees with what went in, as far as this run can tell."
