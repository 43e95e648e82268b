"""Other stars in the field: steady light beside the target."""

from dataclasses import dataclass
from functools import cached_property

from uptheramp.simulate.scene.star import Star


@dataclass(frozen=True)
class FieldStar:
    """A star `offset_px` (x, y) from the target on the detector: its image, or the same orders at another place."""

    k_mag: float
    offset_px: tuple[float, float]
    teff_k: float = 5500.0

    def __post_init__(self):
        self.star  # noqa: B018  refuses what is no star

    @cached_property
    def star(self) -> Star:
        """Its light."""
        return Star(self.k_mag, self.teff_k)
