"""Bare array maths: no state, no references, no files."""
