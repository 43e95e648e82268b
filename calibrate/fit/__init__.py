"""Light-curve models and fits, and the covariance of what they return."""
