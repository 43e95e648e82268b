"""What is in the sky: star, planet, light curve, background."""
