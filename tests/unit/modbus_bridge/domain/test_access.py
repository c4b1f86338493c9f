from modbus_bridge.domain.access import LineSettings, resolve_access
from modbus_bridge.domain.template import Transport
from shared.contracts.site import ModbusAccess

METER = Transport(
    kinds=("rtu", "rtuovertcp"),
    unit=3,
    baud=19200,
    comset="8E1",
    timeout_ms=500,
    request_gap_ms=50,
)
BOX = Transport(kinds=("tcp", "rtu"), port=4701)


def test_what_the_operator_left_open_comes_from_the_template() -> None:
    access = resolve_access(ModbusAccess(template="t", serial_port="/dev/ttyUSB0"), METER)
    assert access.line == LineSettings(
        serial_port="/dev/ttyUSB0", baud=19200, comset="8E1", framing="rtu"
    )
    assert (access.unit, access.pace.timeout_s, access.pace.gap_s) == (3, 0.5, 0.05)
    assert access.line.key == "/dev/ttyUSB0"


def test_what_the_operator_says_counts() -> None:
    access = resolve_access(
        ModbusAccess(template="t", serial_port="/dev/ttyUSB0", baud=9600, comset="8N1", unit=0),
        METER,
    )
    assert (access.line.baud, access.line.comset, access.unit) == (9600, "8N1", 0)


def test_host_is_reached_by_modbus_tcp_if_the_device_speaks_it() -> None:
    line = resolve_access(ModbusAccess(template="t", host="10.0.0.9"), BOX).line
    assert (line.key, line.is_rtu) == ("10.0.0.9:4701", False)


def test_serial_device_behind_a_converter_is_reached_by_rtu_over_tcp() -> None:
    line = resolve_access(ModbusAccess(template="t", host="10.0.0.9"), METER).line
    assert (line.key, line.is_rtu) == ("10.0.0.9:502", True)
    gateway = ModbusAccess(template="t", host="10.0.0.9", port=5020, framing="tcp")
    assert resolve_access(gateway, METER).line.is_rtu is False
