"""The figures of the store by which versions and settings are compared: what a good value of each is."""

from collections.abc import Mapping

from uptheramp.validate.metrics.regression import Sense

# `larger is better` figures do not exist: count what is lost instead
CHECKED: Mapping[str, Sense] = {
    "mean_bias": Sense(ideal=0.0),
    "slope_bias": Sense(ideal=0.0),
    "pull_variance": Sense(ideal=1.0),
    "depth_rms": Sense(relative=True),
    "out_of_transit_rms": Sense(relative=True),
    "mid_transit_time": Sense(ideal=0.0),
    "bins_lost": Sense(),
    "rate_bias_all": Sense(ideal=0.0),
    "rate_bias_bright": Sense(ideal=0.0),
    "rate_noise_all": Sense(relative=True),
    "rate_error": Sense(ideal=1.0),
    "rate_lost": Sense(),
}
LOSS = {"spectrum": "depth_rms", "rate": "rate_rms_all"}  # root mean square error against the truth, by level
SCATTER = {"spectrum": "out_of_transit_rms", "rate": "rate_noise_all"}  # what is seen without a truth
