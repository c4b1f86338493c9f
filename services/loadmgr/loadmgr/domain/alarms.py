"""What an operator has to look at, as far as load management sees it."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from loadmgr.domain.plan import Decision
from shared.contracts.alarm import AlarmChanged, Severity


class Alarm(NamedTuple):
    """One thing that is wrong now."""

    severity: Severity
    text: str


def alarms_of(decision: Decision) -> dict[str, Alarm | None]:
    """Return every alarm that there can be, by its id; ``None`` = all is well."""
    model, late = decision.report.model, decision.report.late
    silent = {meter.id for meter in decision.silent_meters}
    found: dict[str, Alarm | None] = {}
    for meter in model.meters.values():
        found[f"meter-silent/{meter.id}"] = _silent(meter.id) if meter.id in silent else None
    for evse in model.evses:
        id_ = evse.config.id
        found[f"evse-disobeys/{id_}"] = _disobeys(id_) if id_ in decision.disobeying else None
        found[f"session-will-not-finish/{id_}"] = _will_not_finish(id_) if id_ in late else None
    return found


def changes(
    before: Mapping[str, Alarm | None], after: Mapping[str, Alarm | None], now: datetime
) -> list[AlarmChanged]:
    """Return what came and went. What is not known from before is told either way."""
    gone = [id_ for id_, alarm in before.items() if alarm is not None and id_ not in after]
    ended = [_changed(id_, None, now) for id_ in gone]
    unknown = Alarm(Severity.INFO, "")
    return ended + [
        _changed(id_, alarm, now)
        for id_, alarm in after.items()
        if before.get(id_, unknown) != alarm
    ]


def _silent(meter_id: str) -> Alarm:
    text = f"Meter {meter_id} is silent, so its worst case counts: check its connection."
    return Alarm(Severity.CRITICAL, text)


def _will_not_finish(evse_id: str) -> Alarm:
    text = (
        f"The vehicle at EVSE {evse_id} will leave with less than planned: its circuits cannot "
        "carry more until then. Give it priority or change its plan."
    )
    return Alarm(Severity.INFO, text)


def _disobeys(evse_id: str) -> Alarm:
    text = f"EVSE {evse_id} draws more than it is allowed: check its settings and its firmware."
    return Alarm(Severity.WARNING, text)


def _changed(alarm_id: str, alarm: Alarm | None, now: datetime) -> AlarmChanged:
    severity, text = (Severity.INFO, "All is well again.") if alarm is None else alarm
    return AlarmChanged(
        alarm_id=alarm_id,
        active=alarm is not None,
        severity=severity,
        text=text,
        changed_at=now,
    )
