"""Detector parameters fitted to ramps: the likelihood of group differences, one family of systematics a file."""
