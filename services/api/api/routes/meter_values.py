"""``/sessions/{id}/meter-values``: what the station measured during a session, as it told it."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from api.deps import PartsDep
from api.domain.meter_record import MeterValue
from api.problems import not_found
from shared.units import PhaseAmps

router = APIRouter(tags=["sessions"])


class PhaseVolts(BaseModel):
    """A voltage on each phase; null = not told."""

    l1: float | None
    l2: float | None
    l3: float | None


class MeterValueView(BaseModel):
    """What was measured at one moment; null = not told."""

    sampled_at: datetime | None
    """By the station's clock."""
    received_at: datetime
    context: str | None
    energy_wh: float | None
    energy_export_wh: float | None
    power_w: float | None
    current_a: PhaseAmps
    voltage_v: PhaseVolts
    soc_percent: float | None
    offered_a: float | None


@router.get("/sessions/{session_id:path}/meter-values", summary="Read a session's meter values")
async def list_meter_values(
    session_id: str,
    parts: PartsDep,
    limit: Annotated[int, Query(ge=1, le=100_000)] = 10_000,
) -> list[MeterValueView]:
    """The first ``limit`` values of its transaction, oldest first. Without one there are none."""
    session = await parts.sessions.get(session_id)
    if session is None:
        raise not_found("session", session_id)
    if session.transaction_id is None:
        return []
    values = await parts.meter_values.of_transaction(
        session.station_id, session.transaction_id, limit=limit
    )
    return [_view(value) for value in values]


def _view(value: MeterValue) -> MeterValueView:
    return MeterValueView(
        sampled_at=value.sampled_at,
        received_at=value.received_at,
        context=value.context,
        energy_wh=value.energy_wh,
        energy_export_wh=value.energy_export_wh,
        power_w=value.power_w,
        current_a=PhaseAmps(l1=value.l1_a, l2=value.l2_a, l3=value.l3_a),
        voltage_v=PhaseVolts(l1=value.l1_v, l2=value.l2_v, l3=value.l3_v),
        soc_percent=value.soc_percent,
        offered_a=value.offered_a,
    )
