"""The judge: compares products with truth, and never tunes."""

if __name__ != "uptheramp.validate":
    raise ImportError("import uptheramp.validate, not validate (install with: pip install -e .)")
