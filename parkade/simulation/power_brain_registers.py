"""The register map of a cFos Power Brain (public register page; facts, section 2)."""

import struct
from dataclasses import dataclass
from enum import IntEnum

FIRST_REGISTER = 8000
LAST_REGISTER = 8121
VENDOR_ID = 0xCF05
DEVICE_ID = 0x100
RFID_WORDS = 15


class Register(IntEnum):
    """Protocol addresses (0-based) of holding registers."""

    VENDOR_ID = 8000
    PRODUCT_ID = 8002
    DEVICE_ID = 8003
    PRODUCT_VERSION = 8004
    MAPPING_VERSION = 8006
    SERIAL = 8008
    NAME = 8016
    UNIT_ID = 8040
    METER_FLAGS = 8057
    ENERGY = 8058
    POWER = 8062
    CURRENT = 8064
    DEFAULT_FIXED_CURRENT = 8080
    DEFAULT_LIMIT = 8081
    DEFAULT_ENABLE = 8082
    FAILSAFE_DURATION = 8083
    FAILSAFE_CURRENT = 8085
    DISCONNECT_CP = 8086
    RELAY_SELECT = 8087
    RELAY_2 = 8088
    CABLE_CURRENT = 8090
    FIXED_CURRENT = 8091
    PILOT_STATE = 8092
    LIMIT = 8093
    ENABLE = 8094
    OFFERED = 8095
    LAST_RFID = 8096
    RFID_COUNT = 8111
    HAS_METER = 8112
    S0_INPUTS = 8113
    RESTARTS = 8120


METER_REGISTERS = range(Register.METER_FLAGS, Register.CURRENT + 6)
"""Readable only with a meter."""

RAM_REGISTERS = frozenset(
    {
        Register.DISCONNECT_CP,
        Register.RELAY_SELECT,
        Register.RELAY_2,
        Register.FIXED_CURRENT,
        Register.LIMIT,
        Register.ENABLE,
    }
)
"""May be written all the time; every other write goes to flash and wears it."""

FLASH_REGISTERS = frozenset(
    {
        Register.UNIT_ID,
        Register.DEFAULT_FIXED_CURRENT,
        Register.DEFAULT_LIMIT,
        Register.DEFAULT_ENABLE,
        Register.FAILSAFE_DURATION,
        Register.FAILSAFE_DURATION + 1,
        Register.FAILSAFE_CURRENT,
        Register.RESTARTS,
        Register.RESTARTS + 1,
    }
)


@dataclass(frozen=True)
class Written:
    """One register write, as the box saw it."""

    address: int
    value: int
    at_s: float

    @property
    def wears_flash(self) -> bool:
        """The box stored it in flash."""
        return self.address not in RAM_REGISTERS


def text_words(text: str, words: int) -> list[int]:
    """Return text as registers, two characters each, padded with zero bytes."""
    raw = text.encode("ascii", "replace")[: words * 2].ljust(words * 2, b"\0")
    return list(struct.unpack(f">{words}H", raw))


def u32_words(value: int) -> list[int]:
    """Return an unsigned 32-bit value, high word first."""
    return list(struct.unpack(">2H", struct.pack(">I", value)))


def u64_words(value: int) -> list[int]:
    """Return an unsigned 64-bit value, high word first."""
    return list(struct.unpack(">4H", struct.pack(">Q", value)))


def f32_words(value: float) -> list[int]:
    """Return a 32-bit float, high word first."""
    return list(struct.unpack(">2H", struct.pack(">f", value)))
