"""Files in, files out: exposures, segments, products and their formats."""
