"""Stage 3, time series: outliers, white light, channels."""
