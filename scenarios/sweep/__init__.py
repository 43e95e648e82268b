"""Sweeps: from a file that says what is varied to a store that holds the answers."""
