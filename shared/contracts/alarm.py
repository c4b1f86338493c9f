"""What an operator has to look at."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from shared.contracts.message import Event


class Severity(StrEnum):
    """How urgent it is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class AlarmChanged(Event):
    """An alarm came or went. ``alarm_id`` is stable, e.g. ``meter-silent/main-meter``."""

    topic: ClassVar[str] = "alarm.changed.v1"
    address_space: ClassVar[str] = "alarm"
    address_field: ClassVar[str] = "alarm_id"

    alarm_id: str
    active: bool
    severity: Severity
    text: str
    """What happened and what to do, in one sentence."""
    changed_at: datetime
