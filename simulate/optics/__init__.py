"""How light reaches the pixels: throughput, trace, line spread, cross-dispersion profile."""
