"""Instruments, modes, subarrays and read-out patterns: one TOML table each, plus the types that hold them."""
