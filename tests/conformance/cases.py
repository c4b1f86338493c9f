"""The test cases of the Open Charge Alliance for a central system of OCPP 1.6: number and name.

They stand in ``cases.yaml``. The tests are in the modules of their area.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import yaml


class Area(StrEnum):
    """What a case belongs to."""

    CORE = "Core"
    LOCAL_LIST = "LocalAuthList"
    FIRMWARE = "Firmware"
    DIAGNOSTICS = "Diagnostics"
    RESERVATION = "Reservation"
    REMOTE_TRIGGER = "RemoteTrigger"
    SMART_CHARGING = "SmartCharging"
    DATA_TRANSFER = "DataTransfer"
    SECURITY = "Security"


MODULES = {
    Area.CORE: ("test_core", "test_core_charging"),
    Area.LOCAL_LIST: ("test_local_list",),
    Area.FIRMWARE: ("test_firmware",),
    Area.DIAGNOSTICS: ("test_firmware",),
    Area.RESERVATION: ("test_reservation",),
    Area.REMOTE_TRIGGER: ("test_remote_trigger",),
    Area.SMART_CHARGING: ("test_smart_charging",),
    Area.DATA_TRANSFER: ("test_data_transfer",),
    Area.SECURITY: ("test_security", "test_security_profiles"),
}
"""Where the tests of an area are."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One test case."""

    number: str
    """As in the list, e.g. ``TC_004_1``; the list adds ``_CSMS``."""
    name: str
    area: Area
    checked: str
    """What must be true of the server, in one line."""

    @property
    def id(self) -> str:
        """The name of the case in the list."""
        return f"{self.number}_CSMS"


def _read(file: Path) -> tuple[Case, ...]:
    listed = yaml.safe_load(file.read_text("utf-8"))
    return tuple(Case(area=Area(area), **row) for area, rows in listed.items() for row in rows)


CASES = _read(Path(__file__).with_name("cases.yaml"))
"""In the order of the list, area by area."""
