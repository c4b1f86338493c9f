"""One outlet as load management sees it: how its lines load the phases of the grid."""

from dataclasses import dataclass
from functools import cache

from loadmgr.domain.arrays import NOTHING, Three
from shared.contracts.site import Evse, SiteConfig
from shared.errors import ConfigError
from shared.units import PHASES, Phase


@dataclass(frozen=True, kw_only=True)
class EvseModel:
    """One outlet and how its lines load the phases of the grid."""

    config: Evse
    index: int
    station_id: str
    """As configured; orders are addressed to it."""
    needs_permission: bool
    """S25: a backend must permit charging, because the station asks nobody itself."""
    usage_by_lines: tuple[Three, ...]
    """By bit mask of the box's lines in use: 1.0 on each grid phase that is loaded."""
    grid_phase: tuple[int, int, int] | None
    """Grid phase at each line of the box; ``None`` = the rotation is unknown."""

    @property
    def all_lines(self) -> int:
        """Bit mask of the lines that the box is wired to."""
        return 0b001 if self.config.phases == 1 else 0b111

    def is_at(self, other: "EvseModel") -> bool:
        """Tell whether both are the same connector of the same station."""
        return (self.station_id, self.config.connector) == (
            other.station_id,
            other.config.connector,
        )

    def most_on_grid(self, line_a: Three) -> Three:
        """Return the most that these line currents may be on each phase of the grid."""
        if self.grid_phase is None:
            most = max(line_a)
            return (most, most, most)
        return _placed(line_a, self.grid_phase)

    def least_on_grid(self, line_a: Three) -> Three:
        """Return the least that these line currents are on each phase of the grid."""
        if self.grid_phase is None:
            least = min(line_a)
            return (least, least, least)
        return _placed(line_a, self.grid_phase)


def evse_model(site: SiteConfig, evse: Evse, index: int) -> EvseModel:
    """Compile an EVSE. Raises ``ConfigError`` when its station is not there."""
    station = site.station(evse.station)
    if station is None:
        raise ConfigError(f"EVSE {evse.id} names station {evse.station}, which does not exist")
    grid_phase = _grid_phases(evse.rotation)
    return EvseModel(
        config=evse,
        index=index,
        station_id=station.id,
        needs_permission=evse.backend is not None and not station.authorises_itself,
        usage_by_lines=_usages(grid_phase),
        grid_phase=grid_phase,
    )


def _grid_phases(rotation: tuple[Phase, ...] | None) -> tuple[int, int, int] | None:
    if rotation is None:
        return None
    first, second, third = (PHASES.index(phase) for phase in rotation)
    return (first, second, third)


@cache
def _usages(grid_phase: tuple[int, int, int] | None) -> tuple[Three, ...]:
    """Return the phases in use by bit mask of lines; one table for all that are wired alike."""
    return tuple(_usage(mask, grid_phase) for mask in range(8))


def _usage(mask: int, grid_phase: tuple[int, int, int] | None) -> Three:
    lines = [float(mask >> line & 1) for line in range(3)]
    if grid_phase is None:  # it may hang from any phase, so it counts on all of them
        return (1.0, 1.0, 1.0) if mask else NOTHING
    return _placed((lines[0], lines[1], lines[2]), grid_phase)


def _placed(line_a: Three, grid_phase: tuple[int, int, int]) -> Three:
    grid = [0.0, 0.0, 0.0]
    for line, phase in enumerate(grid_phase):
        grid[phase] = line_a[line]
    return (grid[0], grid[1], grid[2])
