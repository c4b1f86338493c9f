"""``/alarms``: what an operator has to look at."""

from fastapi import APIRouter

from api.deps import PartsDep
from shared.contracts.alarm import AlarmChanged

router = APIRouter(tags=["alarms"])


@router.get("/alarms", summary="List active alarms")
async def list_alarms(parts: PartsDep) -> list[AlarmChanged]:
    """Alarms that came and have not gone, oldest first."""
    return list(parts.live.alarms.values())
