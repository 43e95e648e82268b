"""The forward model, in the order light travels: scene, optics, detector, ramps."""

if __name__ != "uptheramp.simulate":
    raise ImportError("import uptheramp.simulate, not simulate (install with: pip install -e .)")
