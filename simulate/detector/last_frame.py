"""The last read of a MIRI integration, which is clocked like the reset that follows and comes out lower."""

from dataclasses import replace

from uptheramp.simulate.detector.rows import by_parity
from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Frames


class LastFrame(Effect):
    """An offset of the last read, different in even and odd rows."""

    name = "last_frame"

    def constants(self, observation, maps, rng):
        """Return the offset of each row, DN."""
        return by_parity(observation, self.table(observation.detector).offset_dn)

    def mean(self, state: Frames, refs, params) -> Frames:
        """Add the offset to the last read, DN."""
        return replace(state, dn=state.dn.at[-1].add(params.own))
