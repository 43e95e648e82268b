"""A short MIRI LRS exposure, for reference files."""

from uptheramp.calibrate.io.meta import ExposureMeta

META = ExposureMeta(
    instrument="MIRI",
    detector="MIRIMAGE",
    exp_type="MIR_LRS-SLITLESS",
    subarray="SLITLESSPRISM",
    x_start=1,
    y_start=529,
    x_size=72,
    y_size=416,
    fast_axis=1,
    slow_axis=2,
    pattern="FASTR1",
    nints=3,
    ngroups=4,
    nframes=1,
    groupgap=0,
    frame_divisor=1,
    outputs=4,
    frame_time_s=0.15904,
    group_time_s=0.15904,
    start_mjd=60000.0,
    filter="P750L",
)
