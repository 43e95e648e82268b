"""What is static about an instrument: plain frozen dataclasses of numbers, strings and tuples.

Nothing here is a pytree: these values pick programs (shapes, patterns, axes), they are not differentiated.
What is long or differentiable on the way to a product (traces, wavelengths, flats) travels as a reference instead;
the tables below hold the numbers from which the simulator makes such references.

Conventions: corners are 1-based in the DMS science frame; curves along the dispersion and the centre of an image use
0-based pixels of the mode's first subarray (`lookup.placed` moves them to another); `fast_axis` and `slow_axis` are
+-1 (x) or +-2 (y), the sign giving the direction of reading.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Sourced:
    """A block of a table, with where its numbers come from and how far to trust them."""

    source: str
    confidence: str  # documented | approximate | guess


@dataclass(frozen=True)
class Curve:
    """A tabulated function, linear between the knots (`x` ascending)."""

    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Nonlinearity(Sourced):
    """Charge physics of the pixel: `junction` (H2RG) or `debiasing` (Si:As), see simulate/detector/nonlinearity.py."""

    kind: str
    deficit_at_half_well: float  # (charge - signal) / charge at half of the full well
    deficit_at_80_percent: float  # the same at 80 % of the full well
    pixel_scatter: float  # relative pixel-to-pixel scatter of the deficit


@dataclass(frozen=True, kw_only=True)
class OneOverF(Sourced):
    """Pink noise as spectral densities S(f) = amplitude^2 / f, amplitudes in electrons (rms per e-fold of f)."""

    common_e: float  # the same in all outputs
    independent_e: float  # drawn for each output
    alternating_e: float  # opposite sign in even and odd columns


@dataclass(frozen=True, kw_only=True)
class CosmicRays(Sourced):
    """Hits: flux of ions, the tracks they leave, the energy they lose, and how much of it makes an electron."""

    rate_per_cm2_s: float
    ion_charge: tuple[float, ...]  # Z: the energy lost goes with its square
    ion_share: tuple[float, ...]  # of the flux, in any unit
    mean_energy_ev: float  # left by a hit, mean over the ions
    moyal_ev_per_um: tuple[float, float]  # location and scale; their ratio is kept, the mean is the one above
    ev_per_electron: float
    track_um: tuple[float, float]  # shortest and longest
    track_power: float  # density of the lengths, l^-power
    diffusion_px: float  # rms of the cloud around the track


@dataclass(frozen=True, kw_only=True)
class PixelDefects(Sourced):
    """Spread of the dark current, and pixels that are hot or dead."""

    dark_scatter: float  # of the logarithm, pixel to pixel
    hot_fraction: float
    hot_e_per_s: float  # median of the hot pixels
    hot_scatter: float  # of the logarithm
    dead_fraction: float


@dataclass(frozen=True, kw_only=True)
class Persistence(Sourced):
    """Families of charge traps."""

    time_s: tuple[float, ...]  # of filling and emptying
    fraction: tuple[float, ...]  # of the charge that a pixel holds for long, trapped beside it
    pixel_scatter: float  # of the logarithm, pixel to pixel


@dataclass(frozen=True, kw_only=True)
class ChargeMigration(Sourced):
    """Brighter-fatter: how far a boundary moves into the fuller pixel."""

    shift_px_per_e: tuple[float, float]  # of contrast between neighbours along (x, y)


@dataclass(frozen=True, kw_only=True)
class Cruciform(Sourced):
    """Light scattered into a cross along the rows and columns."""

    wavelength_um: tuple[float, ...]
    share: tuple[float, ...]  # of the light, at these wavelengths
    hole_px: float  # nearest that it comes to its pixel
    length_px: float  # over which the arms fall by e


@dataclass(frozen=True, kw_only=True)
class SignalIpc(Sourced):
    """Inter-pixel coupling that falls with signal and contrast (Donlon et al. 2018)."""

    alpha: tuple[float, float]  # for strong and for faint signals
    contrast_e: float
    signal_e: float


@dataclass(frozen=True, kw_only=True)
class LargeHits(Sourced):
    """Snowballs or showers: a disc with a halo, part of which is released slowly."""

    interval_s: float  # between events anywhere on the detector
    radius_px: tuple[float, float]  # of the disc, smallest and largest
    radius_power: float  # density of the radii, r^-power
    core_e: float  # of each pixel of the disc
    halo_e: float  # at its edge
    halo_px: float  # over which the halo falls by e
    trapped_fraction: float  # of the charge, released later beside it
    release_s: float


@dataclass(frozen=True, kw_only=True)
class Telegraph(Sourced):
    """Pixels whose level jumps between two values."""

    fraction: float  # of all pixels
    amplitude_e: float  # median distance of the two levels
    amplitude_scatter: float  # log-normal, between pixels
    dwell_s: tuple[float, float]  # shortest and longest mean stay in a level, log-uniform between


@dataclass(frozen=True, kw_only=True)
class PictureFrame(Sourced):
    """A pattern along the edges of the detector whose strength drifts like 1/f."""

    amplitude_e: float  # rms over the detector is amplitude / sqrt(frequency in Hz) a root hertz
    edge_px: float  # over which the pattern falls by e


@dataclass(frozen=True, kw_only=True)
class Coupling(Sourced):
    """Of numbers read at the same time (crosstalk) or one after the other (post-pixel)."""

    share: float  # of a signal that shows in the other


@dataclass(frozen=True, kw_only=True)
class Inl(Sourced):
    """Integral non-linearity of the converter: a sinusoid in the raw number."""

    amplitude_dn: float
    period_dn: float


@dataclass(frozen=True, kw_only=True)
class ResetAnomaly(Sourced):
    """Additive transient after the reset, exponential in the read number."""

    first_dn: float  # at the first read of the first integration
    later_dn: float  # the same, of all later integrations
    pixel_scatter: float  # relative
    decay_reads: float


@dataclass(frozen=True, kw_only=True)
class Rscd(Sourced):
    """Reset switch charge decay: what the integration before leaves, see simulate/detector/rscd.py."""

    scale: tuple[float, float]  # of even and odd detector rows (0-based)
    power: float
    turnover_dn: float
    crossover_dn: float
    decay_reads: float


@dataclass(frozen=True, kw_only=True)
class LastFrame(Sourced):
    """Level of the last read of an integration, which is taken with the clocking of the reset."""

    offset_dn: tuple[float, float]  # of even and odd detector rows (0-based)


@dataclass(frozen=True, kw_only=True)
class Emi(Sourced):
    """Tones on every number read: amplitude * sin 2 pi (frequency * time + phase)."""

    frequency_hz: tuple[float, ...]
    amplitude_dn: tuple[float, ...]
    phase_turns: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class ResponseDrift(Sourced):
    """Loss of rate A(s) exp(-t / tau(s)) after light comes on; s in DN/s between `valid_dn_per_s`."""

    amplitude: tuple[float, float, float]  # A = sum c_n s^n, DN/s
    decay: tuple[float, float, float]  # tau = c_0 exp(-c_1 s) + c_2, s
    valid_dn_per_s: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Detector(Sourced):
    """One sensor chip: axes, electronics, noise. Optional blocks carry the name of the effect they describe."""

    name: str
    kind: str  # H2RG | SiAs
    shape: tuple[int, int]  # (y, x)
    fast_axis: int
    slow_axis: int
    pixel_um: float
    pixel_scale_arcsec: tuple[float, float]  # (x, y)
    gain_e_per_dn: float
    read_noise_e: float  # one read; the CRDS READNOISE file holds this times sqrt(2) / gain
    dark_e_per_s: float
    full_well_e: float
    bias_dn: float  # superbias (near IR) or pedestal (MIRI)
    bias_scatter_dn: float  # pixel to pixel
    ktc_e: float
    reference_noise_ratio: float  # noise of a reference pixel over that of a normal one
    flat_scatter: float
    ipc_alpha: tuple[float, float]  # to each neighbour along (x, y)
    nonlinearity: Nonlinearity
    one_over_f: OneOverF
    cosmic_rays: CosmicRays
    defects: PixelDefects
    cruciform: Cruciform | None = None
    persistence: Persistence | None = None
    charge_migration: ChargeMigration | None = None
    signal_ipc: SignalIpc | None = None
    snowballs: LargeHits | None = None
    showers: LargeHits | None = None
    telegraph: Telegraph | None = None
    picture_frame: PictureFrame | None = None
    crosstalk: Coupling | None = None
    post_pixel: Coupling | None = None
    inl: Inl | None = None
    reset_anomaly: ResetAnomaly | None = None
    rscd: Rscd | None = None
    last_frame: LastFrame | None = None
    emi: Emi | None = None
    response_drift: ResponseDrift | None = None


@dataclass(frozen=True, kw_only=True)
class Subarray(Sourced):
    """A window that is read out, and how long that takes."""

    name: str
    detector: str
    start: tuple[int, int]  # (x, y), 1-based
    size: tuple[int, int]  # (x, y)
    outputs: int
    frame_time_s: float
    row_overhead_clocks: int  # clocks after each line along the slow axis
    extra_lines: int  # lines clocked but not kept, per frame
    reference_columns: tuple[int, int] = (0, 0)  # left, right
    reference_rows: tuple[int, int] = (0, 0)  # bottom, top
    reference_correction: str = "amplifiers"  # amplifiers | interleaved | edge_rows | none
    edge_rows: int = 0  # unilluminated rows at bottom and top that stand in for reference pixels
    gratings: tuple[str, ...] = ()  # those for which the window stands here; empty: all
    target_px: tuple[float, float] | None = None  # (x, y), 0-based, of an imaged star; None: follows from the corners


@dataclass(frozen=True, kw_only=True)
class ReadPattern(Sourced):
    """MULTIACCUM: frames averaged into a group, frames dropped between groups, frames spent on reset."""

    name: str
    nframes: int
    groupgap: int
    reset_frames: int = 1  # between integrations
    max_groups: int = 1000


@dataclass(frozen=True, kw_only=True)
class Horns(Sourced):
    """Shape of a defocused profile: a plateau with a horn inside either edge, and Lorentzian wings.

    Curves of wavelength (micron); heights are relative to the plateau, `lower` and `upper` are the horns at small and
    large pixel numbers. The plateau's width is the order's `fwhm_px`.
    """

    inset_px: Curve  # from the half-height of the edge to the middle of the horn
    sigma_px: Curve  # of a horn
    lower: Curve
    upper: Curve
    edge_px: Curve  # sigma of the blur of the edges
    wing_fraction: float
    wing_px: float  # half width at half maximum


@dataclass(frozen=True, kw_only=True)
class Order(Sourced):
    """One diffraction order: where it falls, at which wavelength, how wide, how bright."""

    number: int
    wavelength_um: Curve  # pixel along the dispersion -> micron
    trace_px: Curve  # pixel along the dispersion -> pixel across it
    throughput: Curve  # micron -> photon conversion efficiency, telescope and detector included
    resolving_power: Curve  # micron -> wavelength / FWHM of the line spread
    fwhm_px: Curve  # micron -> FWHM across the dispersion
    horns: Horns | None = None  # None: a Gaussian; the mode's, given to each order when the table is read
    tilt_deg: Curve | None = None  # micron -> angle of a monochromatic image to the cross-dispersion axis
    pivot_px: tuple[float, float] | None = None  # (x, y) about which a turn of the pupil wheel moves the trace
    # where light curves are made of it; None: in all of the mode's range, empty: nowhere, others have the light
    useful_range_um: tuple[float, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Image(Sourced):
    """An imaging mode: where the star falls and how it looks."""

    centre_px: tuple[float, float]  # (x, y), 0-based in the subarray
    fwhm_px: float
    throughput: Curve
    defocus_diameter_px: float = 0.0  # weak lens; 0 is in focus


@dataclass(frozen=True, kw_only=True)
class Mode(Sourced):
    """One way of observing: an exposure type with its optical elements, subarrays and patterns."""

    name: str  # what scenarios and the command line call it
    exp_type: str
    detector: str
    subarrays: tuple[str, ...]  # the first is the default
    patterns: tuple[str, ...]  # the first is the default
    dispersion_axis: int  # 1 along x, 2 along y, 0 imaging
    background_e_per_s: float
    filter: str = ""
    pupil: str = ""
    grating: str = ""
    channel: str = ""
    module: str = ""
    orders: tuple[Order, ...] = ()
    image: Image | None = None
    horns: Horns | None = None  # profile of all orders
    background_shape: Curve | None = None  # pixel along the dispersion -> relative brightness of the background
    useful_range_um: tuple[float, float] = (0.0, 0.0)
    field_point_px: tuple[float, float] | None = None  # (x, y), 0-based, of the star without the grism
    approximate: str = ""  # what is not as in flight, in words


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """One TOML table."""

    name: str  # INSTRUME
    step_family: str  # near_ir | mid_ir: which Stage 1 tuple of a table applies
    detectors: tuple[Detector, ...]
    subarrays: tuple[Subarray, ...]
    patterns: tuple[ReadPattern, ...]
    modes: tuple[Mode, ...]


@dataclass(frozen=True)
class Readout:
    """The static part of how an exposure was read: counts and patterns, never times (those are dynamic).

    Hashable, and equal when rebuilt from a file, so that it can key a compiled program.
    """

    ngroups: int
    nframes: int
    groupgap: int
    frame_divisor: int
    fast_axis: int
    slow_axis: int
    outputs: int
    reference_columns: tuple[int, int]
    reference_rows: tuple[int, int]
    reference_correction: str
    edge_rows: int

    @property
    def frames_per_group(self) -> int:
        """Frames from the start of one group to the start of the next."""
        return self.nframes + self.groupgap


def readout_of(subarray: Subarray, pattern: ReadPattern, detector: Detector, ngroups: int) -> Readout:
    """Give the read-out of an exposure taken with this window and pattern."""
    return Readout(
        ngroups=ngroups,
        nframes=pattern.nframes,
        groupgap=pattern.groupgap,
        frame_divisor=pattern.nframes,
        fast_axis=detector.fast_axis,
        slow_axis=detector.slow_axis,
        outputs=subarray.outputs,
        reference_columns=subarray.reference_columns,
        reference_rows=subarray.reference_rows,
        reference_correction=subarray.reference_correction,
        edge_rows=subarray.edge_rows,
    )
