"""The questions, and those who ask them: catalogue, run, command line."""

if __name__ != "uptheramp.scenarios":
    raise ImportError("import uptheramp.scenarios, not scenarios (install with: pip install -e .)")
