"""Reference files: one file per REFTYPE, and the look-up that picks them by their headers."""
