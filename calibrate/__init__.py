"""The calibration core: arrays in, arrays out; it knows nothing of truth, scenes or sweeps."""

if __name__ != "uptheramp.calibrate":
    raise ImportError("import uptheramp.calibrate, not calibrate (install with: pip install -e .)")
