"""Stage 2, spectroscopy: rates to calibrated rates and extracted spectra."""
