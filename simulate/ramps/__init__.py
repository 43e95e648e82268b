"""From frames to files: clock, MULTIACCUM, rendering by chunks, Level-1b, references."""
