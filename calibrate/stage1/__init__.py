"""Stage 1, detector: ramps to rates. One step per file; `table.py` holds the step tables."""
