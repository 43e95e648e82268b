"""Ramps with stripes and drifts of the read-out, and what the official clean_flicker_noise makes of them."""

from dataclasses import replace

import numpy as np

from official_ramps import READ_DN, ramps
from uptheramp.calibrate import flags
from uptheramp.calibrate.stage1.clean_flicker_noise import FlickerScene


def striped(shape, slow_axis, outputs, seed):
    """Ramps with a trace and stripes along the fast axis, of each output its own, and their pattern of response."""
    rng = np.random.default_rng(seed)
    ny, nx = shape
    state = ramps(nints=2, ngroups=4, shape=shape, top=0.0, seed=seed)
    lines = ny if slow_axis == 2 else nx
    levels = np.repeat(rng.normal(0, 30, (2, 4, lines, outputs)), (nx if slow_axis == 2 else ny) // outputs, axis=-1)
    trace = np.exp(-0.5 * ((np.arange(ny)[:, None] - ny / 2) / 2.0) ** 2) * np.ones(nx) * 300 + 40
    response = rng.normal(1, 0.05, shape).astype(np.float32)
    light = response * trace * np.arange(1, 5)[:, None, None]
    stripes = levels if slow_axis == 2 else np.swapaxes(levels, -1, -2)
    data = (900 + light + stripes + rng.normal(0, READ_DN, (2, 4, *shape))).astype(np.float32)
    readout = replace(state.readout, slow_axis=slow_axis, outputs=outputs)
    groupdq = np.zeros(data.shape, np.uint8)
    groupdq[1, 2, 3:5, 7:12] = flags.DO_NOT_USE
    return replace(state, data=data, groupdq=groupdq, readout=readout), response, stripes


def drifting(shape, slow_axis, seed):
    """Ramps of a window that one output reads under 1/f noise, that noise, and where no light falls."""
    rng = np.random.default_rng(seed)
    fast, lines = shape
    clocks = lines * (fast + 12)
    frequency = np.fft.rfftfreq(clocks)
    spectrum = rng.normal(size=(2, 2, 4, len(frequency))) / np.maximum(frequency, frequency[1])
    drift = np.fft.irfft(spectrum[0] + 1j * spectrum[1], clocks).reshape(2, 4, lines, -1)[..., :fast]
    red = np.swapaxes(drift / drift.std() * 20, -1, -2)[..., :: np.sign(slow_axis)]
    trace = np.exp(-0.5 * ((np.arange(fast)[:, None] - fast / 2) / 2.0) ** 2) * np.ones(lines) * 300 + 40
    read = rng.normal(0, READ_DN, red.shape)
    data = (900 + trace * np.arange(1, 5)[:, None, None] + red + read).astype(np.float32)
    data[0, 2:, 3, 50] += 900  # an outlier
    state = ramps(nints=2, ngroups=4, shape=shape, top=0.0, seed=seed)
    state = replace(state, data=data, groupdq=np.zeros(data.shape, np.uint8))
    state = replace(state, readout=replace(state.readout, slow_axis=slow_axis))
    return state, red, np.broadcast_to(trace < 45, shape)


def glowing():
    """Striped ramps on a smooth background, and where no light falls."""
    state, _, _ = striped((72, 80), 1, 1, seed=17)
    y, x = np.mgrid[:72, :80]
    glow = 60 + 0.2 * y + 8 * np.sin(x / 25)
    state.data[:] += glow * np.arange(1, 5, dtype=np.float32)[:, None, None]
    dark = np.ones((72, 80), bool)
    dark[29:44], dark[:3, 60:64] = False, False
    return state, dark


def official_clean(state, mask, method="median", by_channel=False, flat=None, fit="median", box=None, detector="ANY"):
    """Every difference of groups cleaned by the official function, with a given mask."""
    from jwst.clean_flicker_noise import clean_flicker_noise as peer

    theirs = state.data.copy()
    low_and_high = (1061, 1211, 49943, 49957)
    for i in range(len(theirs)):
        for j in range(theirs.shape[1] - 1):
            usable = np.array(mask if mask.ndim == 2 else mask[i])
            peer._mask_unusable(usable, state.groupdq[i, j + 1])
            image = state.data[i, j + 1] - state.data[i, j]
            slow = abs(state.readout.slow_axis)
            settings = method, box, 2.0, fit, detector, low_and_high, slow, by_channel, flat
            cleaned, _, _ = peer._clean_one_image(image, usable, *settings)
            theirs[i, j + 1] = theirs[i, j] + cleaned
    return theirs


def unlit(mask):
    """A scene of which only the background is known."""
    return FlickerScene(np.asarray(mask, bool), np.zeros(mask.shape, bool), np.float32(1), None)
