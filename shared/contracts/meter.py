"""What meters show."""

from datetime import datetime
from typing import ClassVar

from shared.contracts.message import Event
from shared.units import PhaseAmps


class MeterSampled(Event):
    """One reading of a meter. Currents are positive in the direction of consumption."""

    topic: ClassVar[str] = "meter.sampled.v1"
    address_space: ClassVar[str] = "meter"
    address_field: ClassVar[str] = "meter_id"
    expires_after_s: ClassVar[float | None] = 10.0

    meter_id: str
    sampled_at: datetime
    current_a: PhaseAmps
    power_w: float | None = None
    energy_import_wh: float | None = None
    energy_export_wh: float | None = None
