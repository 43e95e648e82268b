"""Wavelengths from the official optical references: one file per kind of spectrograph, evaluated once on the host."""
