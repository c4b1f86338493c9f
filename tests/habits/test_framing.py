"""Field notes 5.2, habits 11 to 18: what stations put into frames, with the frames that show it.

Gateway only, and not here: that a backend gets a station's text unchanged (18) is also in
``tests/unit/ocpp_server/test_relay.py`` and ``tests/integration/test_gateway_relay.py``.
"""

import json
from typing import Any

import pytest

from ocpp_server.answers import Fault
from ocpp_server.v16.schemas import request_validator
from shared.bus.port import Delivery
from shared.contracts.ocpp import CallResult, CallStation, LogRow, MessagesLogged
from shared.contracts.session import SessionStarted, SignedValueReceived
from shared.contracts.site import SiteConfig, Token
from tests.conditions import eventually
from tests.ocpp_core import Core, site_of

START = {
    "connectorId": 1,
    "idTag": "GOOD",
    "meterStart": 5,
    "timestamp": "2026-01-01T12:00:00Z",
}


async def logged(core: Core) -> list[LogRow]:
    """Publish the message log and return its rows."""
    rows: list[LogRow] = []

    async def hear(delivery: Delivery[MessagesLogged]) -> None:
        rows.extend(LogRow(*row) for row in delivery.message.rows)

    await core.operator.listen([MessagesLogged], hear)
    await core.facilities.log.flush()
    await eventually(lambda: rows, claim="the log is told")
    return rows


async def ask(core: Core, action: str, payload: str = "{}", **changes: Any) -> Any:
    """Have an operator call the station."""
    order = CallStation(station_id="CP1", action=action, payload_text=payload, **changes)
    return await core.operator.ask(order, timeout_s=5)


@pytest.mark.parametrize(
    ("frame", "message_id"),
    [
        ('[2,"11a","Heartbeat",{]', "11a"),
        ('[2,"11b","Heartbeat"', "11b"),
        ('[2,"11c","MeterValues",{"value":NaN}]', "11c"),
        ('[2,"11d",7,{}]', "11d"),
        ('[2,"11e","Heartbeat",[]]', "11e"),
        ("[2,11,null,{}]", 11),
    ],
)
async def test_habit_11_a_frame_that_cannot_be_parsed_is_answered_when_its_id_can_be_read(
    core: Core, frame: str, message_id: object
) -> None:
    station = await core.booted()
    before = len(station.sent)
    station.say(frame)
    (answer,) = station.frames(before)
    assert answer[:3] == [4, message_id, "FormationViolation"]


@pytest.mark.parametrize("frame", ["", "[]", "{}", "null", "hello", '[2,{},"Heartbeat",{}]'])
async def test_habit_11_a_frame_without_an_id_is_dropped_and_the_station_stays(
    core: Core, frame: str
) -> None:
    station = await core.booted()
    before = len(station.sent)
    station.say(frame)
    assert station.sent[before:] == []
    assert "currentTime" in await station.call("Heartbeat", {})


@pytest.mark.parametrize(
    "frame", ['[2,"11","Heartbeat"]', '["2","11","Heartbeat",{}]', '[2,"11","Heartbeat",null,1,2]']
)
async def test_habit_11_odd_envelopes_with_a_meaning_are_served(core: Core, frame: str) -> None:
    station = await core.booted()
    before = len(station.sent)
    station.say(frame)
    (answer,) = station.frames(before)
    assert answer[:2] == [3, "11"]


_VALUE = {"timestamp": "2026-01-01T12:00:00Z", "sampledValue": [{"value": "7"}]}
BREAKS_THE_SCHEMA = [
    ("connectorId as text", "StatusNotification", {"connectorId": "1"}),
    ("null for what may be missing", "StatusNotification", {"info": None}),
    ("info over 50 characters", "StatusNotification", {"info": "x" * 60}),
    ("an error code of its own (Legrand)", "StatusNotification", {"errorCode": "Error"}),
    ("an extra field", "StatusNotification", {"cpSerial": "1"}),
    ("a float for the meter", "StartTransaction", {"meterStart": 5.7}),
    ("a tag over 20 characters", "StartTransaction", {"idTag": "x" * 32}),
    ("a reason that nobody knows", "StopTransaction", {"reason": "Unplugged"}),
    ("a serial number that is too long", "BootNotification", {"chargePointSerialNumber": "x" * 40}),
    ("an empty vendor", "BootNotification", {"chargePointVendor": ""}),
    ("no vendor at all", "BootNotification", {"chargePointVendor": ...}),
    ("an object for a list (Huawei)", "MeterValues", {"meterValue": _VALUE}),
    ("an illegal measurand", "MeterValues", {"meterValue": [{"measurand": "Request.Energy"}]}),
    ("no samples", "MeterValues", {"meterValue": [{**_VALUE, "sampledValue": []}]}),
    ("an object as data (Growatt)", "DataTransfer", {"data": {"meter": [1, 2]}}),
]
VALID: dict[str, dict[str, Any]] = {
    "BootNotification": {"chargePointVendor": "Maker", "chargePointModel": "Box"},
    "DataTransfer": {"vendorId": "growatt"},
    "MeterValues": {"connectorId": 1, "meterValue": [_VALUE]},
    "StartTransaction": START,
    "StatusNotification": {"connectorId": 1, "errorCode": "NoError", "status": "Charging"},
    "StopTransaction": {
        "transactionId": 1,
        "meterStop": 9,
        "timestamp": "2026-01-01T12:30:00Z",
    },
}


@pytest.mark.parametrize(
    ("action", "change"), [c[1:] for c in BREAKS_THE_SCHEMA], ids=[c[0] for c in BREAKS_THE_SCHEMA]
)
async def test_habit_12_what_breaks_the_schema_and_keeps_its_meaning_is_served_and_recorded(
    core: Core, action: str, change: dict[str, Any]
) -> None:
    payload = {k: v for k, v in {**VALID[action], **change}.items() if v is not ...}
    station = await core.booted()
    is_valid = request_validator(action).is_valid(payload)
    answer = await station.call(action, payload, message_id="odd")
    assert isinstance(answer, dict), "no CALLERROR"
    (row,) = [r for r in await logged(core) if r.message_id == "odd" and r.inbound]
    assert bool(row.repairs) is not is_valid
    assert json.loads(row.text)[3].keys() == payload.keys(), "the log has it as it came"


async def test_habit_12_where_no_meaning_is_left_it_is_refused(core: Core) -> None:
    station = await core.booted()
    assert await station.call("StatusNotification", {}) == "OccurenceConstraintViolation"
    assert await station.call("MeterValues", {"connectorId": {}}) != {}
    assert "currentTime" in await station.call("Heartbeat", {})


async def test_habit_13_a_repeated_message_id_is_a_repetition_only_with_the_same_content(
    core: Core,
) -> None:
    station = await core.booted()
    first = await station.call("StartTransaction", START, message_id="1")
    again = await station.call("StartTransaction", START, message_id="1")
    other = await station.call("StartTransaction", {**START, "meterStart": 6}, message_id="1")
    assert again == first
    assert other["transactionId"] != first["transactionId"]
    assert len(core.events(SessionStarted)) == 2


async def test_habit_13_a_counter_that_restarts_with_the_station_hides_nothing(core: Core) -> None:
    station = await core.booted()
    await station.call("Authorize", {"idTag": "GOOD"}, message_id="1")
    station.close()
    back = await core.booted()
    answer = await back.call("Authorize", {"idTag": "BLOCKED"}, message_id="1")
    assert answer["idTagInfo"]["status"] == "Blocked"


async def test_habit_13_an_id_that_never_changes_gets_the_present_time(core: Core) -> None:
    station = await core.booted()
    first = await station.call("Heartbeat", {}, message_id="1")
    core.later(60)
    assert await station.call("Heartbeat", {}, message_id="1") != first


async def test_habit_14_late_foreign_and_repeated_answers_are_dropped(core: Core) -> None:
    station = await core.booted()
    await station.idle()

    def twice(_: dict[str, Any]) -> dict[str, Any]:
        message_id = station.frames()[-1][1]
        for status in ("Accepted", "Rejected", "Rejected"):
            station.say(json.dumps([3, message_id, {"status": status}]))
        return {"status": "Rejected"}

    station.answers["ClearCache"] = twice
    station.say('[3,"nobody asked",{"status":"Accepted"}]')
    station.say('[4,"nobody asked","InternalError","",{}]')
    found = await ask(core, "ClearCache")
    assert (found.outcome, found.payload) == (CallResult.ANSWERED, {"status": "Accepted"})
    assert "currentTime" in await station.call("Heartbeat", {})


@pytest.mark.parametrize(
    ("tail", "code"),
    [
        ('"FormationViolation","no",{}', "FormationViolation"),
        ('"FormatViolation","no",{}', "FormatViolation"),
        ('"InternalError","no","details as text"', "InternalError"),
        ('"InternalError","no",null', "InternalError"),
        ('"InternalError","no"', "InternalError"),
        ('"InternalError"', "InternalError"),
        ('"NotImplemented","","",""', "NotImplemented"),
    ],
)
async def test_habit_15_callerrors_of_any_length_and_spelling_are_understood(
    core: Core, tail: str, code: str
) -> None:
    station = await core.booted()
    await station.idle()

    def refuse(_: dict[str, Any]) -> None:
        station.say(f'[4,"{station.frames()[-1][1]}",{tail}]')

    station.answers["ClearCache"] = refuse
    found = await ask(core, "ClearCache")
    assert (found.outcome, found.error_code) == (CallResult.ERROR, code)


async def test_habit_16_a_stop_with_a_day_of_signed_samples_is_taken(core: Core) -> None:
    station = await core.booted()
    started = await station.call("StartTransaction", START)
    signed = [
        {
            "timestamp": "2026-01-01T13:00:00Z",
            "sampledValue": [{"value": f"OCMF|{n}|" + "A" * 3_000, "format": "SignedData"}],
        }
        for n in range(700)
    ]
    stop = {**VALID["StopTransaction"], "transactionId": started["transactionId"]}
    text = json.dumps({**stop, "transactionData": signed})
    assert len(text) > 2 << 20, "more than the 1 MiB that websockets allows by itself"
    assert await station.call("StopTransaction", json.loads(text)) == {}
    assert len(await core.ledger.signed_texts(started["transactionId"])) == 700


@pytest.mark.parametrize(
    "site",
    [
        site_of(
            tokens=tuple(Token(id=f"T{n}") for n in range(25)),
            stations=[{"id": "CP1", "protocol": "ocpp", "local_list": True}],
            tokens_revision=1,
        )
    ],
)
async def test_habit_16_what_we_send_is_split_by_what_the_station_takes(
    core: Core, site: SiteConfig
) -> None:
    station = await core.connect()
    entries = {
        "SendLocalListMaxLength": "10",
        "LocalAuthListEnabled": "true",
        "SupportedFeatureProfiles": "Core,LocalAuthListManagement",
    }
    station.answers["GetConfiguration"] = {
        "configurationKey": [
            {"key": key, "readonly": False, "value": value} for key, value in entries.items()
        ]
    }
    station.answers["GetLocalListVersion"] = {"listVersion": 0}
    await station.boot()
    await station.was_called("SendLocalList", times=3)
    pieces = [len(p["localAuthorizationList"]) for p in station.payloads("SendLocalList")]
    assert pieces == [10, 10, 5]


async def test_habit_16_a_station_that_takes_few_keys_is_asked_for_few(core: Core) -> None:
    station = await core.connect()

    def answer(question: dict[str, Any]) -> Any:
        asked = question.get("key")
        if not asked or len(asked) > 4:
            return Fault("OccurenceConstraintViolation")
        return {"unknownKey": asked}

    station.answers["GetConfiguration"] = answer
    await station.boot()
    await station.idle()
    asked = [p.get("key", []) for p in station.payloads("GetConfiguration")]
    assert max(map(len, asked)) <= 4
    assert any("MeterValuesSampledData" in keys for keys in asked)


@pytest.mark.parametrize(
    "frame",
    [
        '[2,"17","StatusNotification",{"secret":"pw-of-mine"}]',
        '[2,"17","pw-of-mine",{}]',
        '[2,"17","StartTransaction",{"connectorId":["pw-of-mine"]}]',
        '[2,"17","Authorize",{"idTag":{"pw-of-mine":',
    ],
)
async def test_habit_17_a_callerror_carries_no_payload_and_no_stack(core: Core, frame: str) -> None:
    station = await core.booted()
    await station.idle()
    before = len(station.sent)
    station.say(frame)
    text = await eventually(lambda: next(iter(station.sent[before:]), None))
    assert json.loads(text)[0] == 4
    assert "pw-of-mine" not in text
    assert "Traceback" not in text
    assert len(text) < 300, "small stations have small buffers"


async def test_habit_18_signed_text_is_kept_byte_for_byte(core: Core) -> None:
    station = await core.booted()
    raw = r'{"signedMeterValue":"OCMF|{\"a\":\"&lt;\u00e9é  \/\"}|x","encodingMethod":"OCMF"}'
    inner = json.dumps(raw, ensure_ascii=False)
    station.say(
        '[2,"18","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"2026-01-01T12:00:00Z",'
        f'"sampledValue":[{{"value":{inner},"format":"SignedData"}}]}}]}}]'
    )
    told = await core.event(SignedValueReceived)
    assert told.raw == raw
