"""What a calibration programme would hand over: reference files in three grades, made from the simulated sensor."""
