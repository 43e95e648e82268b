"""The figures of recovery, by level, each with its definition and its limit."""
