"""What the detector does to light: one effect per file, in the order of the physics."""
