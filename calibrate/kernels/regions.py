"""Connected regions of a mask as ellipses, and ellipses as pixels (on the host, numpy).

A region is a set of pixels that touch at sides or corners. Its ellipse has the region's centroid and second central
moments: with T their inertia tensor per pixel, `T = [[m_xx, -m_xy], [-m_xy, m_yy]]`, the full axes are 4 times the
roots of its eigenvalues, and the orientation is half the angle of `(m_yy - m_xx, 2 m_xy)`. A pixel belongs to a drawn
ellipse if its centre lies within. Where pixels lie on the very rim rounding decides, so moments and angles are
formed in the order of operations of scikit-image's `regionprops` and `draw.ellipse`, which the official step calls.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

TOUCHING = np.ones((3, 3), int)
SMALLEST_WITH_A_HOLE = 8  # pixels, all round one


class Ellipse(NamedTuple):
    """Centre (pixels), full minor and major axis (pixels), and angle of the major axis from the y axis (degrees)."""

    x: float
    y: float
    minor_px: float
    major_px: float
    angle_deg: float

    def holds(self, x: float, y: float) -> bool:
        """Whether a point lies inside, with angle and axes as the official step takes them."""
        angle = np.radians(180 - self.angle_deg)
        dx, dy = x - self.x, y - self.y
        along, across = dx * np.cos(angle) - dy * np.sin(angle), dx * np.sin(angle) + dy * np.cos(angle)
        major, minor = 0.5 * self.major_px, 0.5 * self.minor_px
        if minor == 0 or major == 0:
            return False
        return bool(along**2 / major**2 + across**2 / minor**2 <= 1)

    def axes(self, ratio: float, widest_px: float) -> tuple[float, float]:
        """Minor and major axis where the minor one grows by a ratio, the major one by as many pixels."""
        more = (ratio - 1) * self.minor_px
        return min(self.minor_px * ratio, widest_px), min(self.major_px + more, widest_px)


def ellipses(mask: Bool[np.ndarray, "y x"], least_area: float) -> list[Ellipse]:
    """Of each region that covers, its holes filled, at least this area: the ellipse with axes shorter by a pixel."""
    if not mask.any():
        return []
    labels = np.zeros(mask.shape, np.int32)
    ndimage.label(mask, TOUCHING, labels)
    areas = np.bincount(labels.ravel())
    found = []
    for label, place in enumerate(ndimage.find_objects(labels), start=1):
        area = areas[label]
        could = area >= SMALLEST_WITH_A_HOLE and labels[place].size >= least_area
        if area < least_area and not could:
            continue
        image = labels[place] == label
        if area < least_area and np.asarray(ndimage.binary_fill_holes(image, TOUCHING)).sum() < least_area:
            continue
        found.append(_of(image, place[0].start, place[1].start))
    return found


def _of(image: Bool[np.ndarray, "y x"], first_y: int, first_x: int) -> Ellipse:
    """The ellipse of one region in its bounding box."""
    y, x = np.nonzero(image)
    area = float(len(y))
    m_yy, m_xx, m_xy = _central(image.astype(float), y.sum() / area, x.sum() / area)
    both = m_yy + m_xx
    tensor = np.array([[(both - m_yy) / area, -m_xy / area], [-m_xy / area, (both - m_xx) / area]])
    low, high = np.clip(np.linalg.eigvalsh(tensor), 0, None)
    difference, turn = tensor[1, 1] - tensor[0, 0], tensor[0, 1]
    diagonal = math.pi / 4 if turn < 0 else -math.pi / 4
    angle = 0.5 * math.atan2(-2 * turn, difference) if difference != 0 else diagonal
    centre_y, centre_x = (y + first_y).mean(), (x + first_x).mean()
    return Ellipse(
        float(centre_x), float(centre_y), 4 * math.sqrt(low) - 1, 4 * math.sqrt(high) - 1, float(np.degrees(angle))
    )


def _central(image: Float[np.ndarray, "y x"], centre_y: float, centre_x: float) -> tuple[float, float, float]:
    """Sums of dy^2, dx^2 and dy dx over a region."""
    powers = np.arange(4.0)
    by_y = (np.arange(float(len(image))) - centre_y)[:, None] ** powers
    by_x = (np.arange(float(image.shape[1])) - centre_x)[:, None] ** powers
    moments = np.tensordot(np.tensordot(image, by_y, (0, 0)).T, by_x, 1)
    return moments[2, 0], moments[0, 2], moments[1, 1]


def pixels(
    shape: tuple[int, int], where: Ellipse, minor_px: float, major_px: float
) -> tuple[tuple[slice, slice], Bool[np.ndarray, "y x"]]:
    """A window of an image and which of its pixels an ellipse with other full axes covers.

    Centre and half axes are rounded to whole pixels first; without a half axis it covers none.
    """
    y, x, half_minor, half_major = (round(v) for v in (where.y, where.x, minor_px / 2, major_px / 2))
    reach = max(half_minor, half_major) + 1
    rows, columns = (
        slice(max(c - reach, 0), max(min(c + reach + 1, n), 0)) for c, n in zip((y, x), shape, strict=True)
    )
    dy, dx = np.ogrid[rows, columns]
    dy, dx = dy - float(y), dx - float(x)
    if half_minor == 0 or half_major == 0:
        return (rows, columns), np.zeros((dy.size, dx.size), bool)
    angle = np.radians(where.angle_deg) % np.pi
    cos, sin = np.cos(angle), np.sin(angle)
    distance = ((dy * cos + dx * sin) / half_major) ** 2 + ((dy * sin - dx * cos) / half_minor) ** 2
    return (rows, columns), distance < 1
