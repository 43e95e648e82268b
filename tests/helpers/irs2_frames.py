"""Small IRS2 exposures and the official models of the same arrays."""

from dataclasses import replace

import numpy as np
from astropy.io import fits

from uptheramp.calibrate import flags
from uptheramp.calibrate.instruments.core import Readout
from uptheramp.calibrate.kernels import interleaved
from uptheramp.calibrate.kernels.irs2 import SAMPLES
from uptheramp.calibrate.state import Ramps

AXES = {"NRS1": (2, 1), "NRS2": (-2, -1)}
TABLE = [(1, 1, 0b11), (1, 2, 0b1100), (2, 1, 1 << 30 | 1 << 31), (3, 2, 1 << 11), (4, 1, 0)]  # OUTPUT, ODD_EVEN, MASK


def in_order(frames, detector):
    """From the order of the detector (line, read) to the image's (y, x)."""
    frames = np.swapaxes(frames, -1, -2)
    return frames if detector == "NRS1" else frames[..., ::-1, ::-1]


def raw_frames(detector, nints, ngroups, seed=0):
    """uint16 frames (integration, group, y, x): light, bias and drift of all reads, noise, and bad reference pixels."""
    rng = np.random.default_rng(seed)
    side, length = interleaved.SIDE, interleaved.LENGTH
    reads = rng.normal(0, 6, (nints, ngroups, side, length)).astype(np.float32)
    drift = np.cumsum(rng.normal(0, 0.5, (nints, ngroups, side)), -1)
    tone = 8 * np.sin(0.37 * np.arange(side))  # along the lines
    reads += (drift + tone)[..., None] + 11000
    reads += 40 * np.arange(ngroups, dtype=np.float32)[:, None, None]
    lit = interleaved.is_normal(backwards=False)
    reads[..., 4:-4, lit] += 25 * np.arange(ngroups, dtype=np.float32)[:, None, None]
    reads[..., 1288:1290] += 60  # pairs that stand out, one of them in the last integration alone
    reads[-1, ..., 2109] += rng.normal(0, 40, (ngroups, side))
    return in_order(np.rint(reads).clip(0, 65535).astype(np.uint16), detector)


def bad_mask(detector):
    """Flags of raw frames: border pixels of the image and some bad reference pixels."""
    dq = np.zeros((interleaved.SIDE, interleaved.LENGTH), np.uint32)
    dq[[0, 1, 2, 3, -4, -3, -2, -1]] = flags.REFERENCE_PIXEL
    dq[100:110, 1308:1310] = flags.BAD_REF_PIXEL
    dq[:, 1328:1330] = flags.BAD_REF_PIXEL | flags.DO_NOT_USE
    dq[7, 28] = flags.BAD_REF_PIXEL  # of the reference output
    dq[500:503, 900] |= flags.DO_NOT_USE
    return np.ascontiguousarray(in_order(dq, detector))


def state_of(data, dq, detector):
    """Our state of such frames, floating, with flags."""
    backwards = detector == "NRS2"
    (image, extra), (image_dq, extra_dq) = (interleaved.split(x, backwards) for x in (data, dq))
    ngroups = data.shape[1]
    readout = Readout(ngroups, 1, 0, 1, *AXES[detector], 4, (4, 4), (4, 4), "amplifiers", 0)
    state = Ramps(
        image.astype(np.float32),
        np.zeros(image.shape, np.uint8),
        image_dq,
        np.arange(len(data)),
        np.float64(14.5889),
        np.float64(14.5889),
        readout,
    )
    return replace(state, interleaved=extra.astype(np.float32), interleaved_dq=extra_dq)


def factors(seed=1):
    """Factors of no symmetry, falling with frequency: columns of a REFPIX table."""
    rng = np.random.default_rng(seed)
    frequency = np.fft.fftfreq(SAMPLES)
    shape = (0.4 / (1 + (frequency / 2e-4) ** 2) + 0.1).astype(np.float32)
    columns = {}
    for name in ("alpha", "beta"):
        for output in range(4):
            noise = rng.standard_normal((2, SAMPLES), np.float32)
            factor = shape * (1 + np.float32(0.1) * noise[0]) + np.complex64(0.02j) * noise[1]
            columns[f"{name}_{output}"] = factor.view(np.float32)
    return columns


def write_refpix(path, detector):
    """A REFPIX file of these factors, with a table of bad reads."""
    columns = factors()
    table = np.zeros(2 * SAMPLES, [(name, ">f4") for name in columns])
    for name, values in columns.items():
        table[name] = values
    bad = np.array(TABLE, [("OUTPUT", ">i2"), ("ODD_EVEN", ">i2"), ("MASK", ">u4")])
    header = fits.Header({"TELESCOP": "JWST", "REFTYPE": "REFPIX", "INSTRUME": "NIRSPEC", "DETECTOR": detector})
    header.update({"READPATT": "ANY", "P_READPA": "NRSIRS2|NRSIRS2RAPID|"})
    hdus = [fits.PrimaryHDU(header=header), fits.BinTableHDU(table, name="IRS2"), fits.BinTableHDU(bad, name="DQ")]
    fits.HDUList(hdus).writeto(path)
    return path


def official_step(data, dq, path, detector):
    """The official step's three calls, the last on the first integration alone, and the flags that the first leaves."""
    from jwst.refpix import irs2_subtract_reference as irs2
    from stdatamodels.jwst.datamodels import IRS2Model, RampModel

    model = RampModel(data=data.astype(np.float32), pixeldq=dq.copy(), groupdq=np.zeros(data.shape, np.uint8))
    model.meta.instrument.name, model.meta.instrument.detector = "NIRSPEC", detector
    model.meta.exposure.nrs_normal, model.meta.exposure.nrs_reference = 16, 4
    irs2.flag_bad_refpix(model, n_sigma=3.0, flag_only=True)
    flagged = model.pixeldq.copy()
    irs2.flag_bad_refpix(model, replace_only=True)
    model.data, model.groupdq = model.data[:1], model.groupdq[:1]
    with IRS2Model(path) as reference:
        return irs2.correct_model(model, reference), flagged
