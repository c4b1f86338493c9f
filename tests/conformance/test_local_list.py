"""Area LocalAuthList."""

from tests.conformance.bench import Bench
from tests.conformance.scripts import Refuse
from tests.conformance.site import BLOCKED, EXPIRED, INVALID, PARENT, PAST, SIBLING, VALID


async def test_tc_042_1_get_local_list_version_not_supported(bench: Bench) -> None:
    """Get Local List Version (not supported)"""
    async with bench.booted() as station:
        station.answer("GetLocalListVersion", {"listVersion": -1})
        assert await bench.operator.call("GetLocalListVersion", {}) == {"listVersion": -1}
        assert {} in station.received("GetLocalListVersion")
        station.answer("GetLocalListVersion", Refuse("NotSupported"))
        outcome = await bench.operator.try_call("GetLocalListVersion", {})
        assert (outcome["outcome"], outcome["error_code"]) == ("error", "NotSupported")


async def test_tc_042_2_get_local_list_version_empty(bench: Bench) -> None:
    """Get Local List Version (empty)"""
    async with bench.booted() as station:
        station.answer("GetLocalListVersion", {"listVersion": 0})
        assert await bench.operator.call("GetLocalListVersion", {}) == {"listVersion": 0}
        assert {} in station.received("GetLocalListVersion")


STATUS_OF_TAG = {
    VALID: "Accepted",
    SIBLING: "Accepted",
    INVALID: "Invalid",
    EXPIRED: "Expired",
    PAST: "Expired",
    BLOCKED: "Blocked",
}
"""What the site says of its tags."""


async def _full_list_answered_with(bench: Bench, word: str) -> None:
    """The operator has the site's tags sent, all of them; the station answers with a word."""
    async with bench.booted() as station:
        if word != "Accepted":
            station.answer("SendLocalList", {"status": word})
        outcome = await bench.operator.ask("local-list")
        assert outcome["outcome"] == ("done" if word == "Accepted" else "refused")
        assert word in outcome["detail"]
        (sent,) = station.received("SendLocalList")
        assert sent["updateType"] == "Full"
        assert sent["listVersion"] > 0
        told = {one["idTag"]: one["idTagInfo"] for one in sent["localAuthorizationList"]}
        assert {tag: info["status"] for tag, info in told.items()} == STATUS_OF_TAG
        assert told[VALID]["parentIdTag"] == PARENT
        shown = {"Accepted": sent["listVersion"], "NotSupported": -1}.get(word)
        await bench.operator.until_local_list(shown)


async def test_tc_043_1_send_local_list_not_supported(bench: Bench) -> None:
    """Send Local Authorization List - NotSupported"""
    await _full_list_answered_with(bench, "NotSupported")


async def test_tc_043_3_send_local_list_failed(bench: Bench) -> None:
    """Send Local Authorization List - Failed"""
    await _full_list_answered_with(bench, "Failed")


async def test_tc_043_4_send_local_list_full(bench: Bench) -> None:
    """Send Local Authorization List - Full"""
    await _full_list_answered_with(bench, "Accepted")


async def test_tc_043_5_send_local_list_differential(bench: Bench) -> None:
    """Send Local Authorization List - Differential"""
    entries = [
        {"idTag": SIBLING, "idTagInfo": {"status": "Accepted", "parentIdTag": PARENT}},
        {"idTag": BLOCKED, "idTagInfo": {"status": "Blocked"}},
    ]
    wanted = {"listVersion": 2, "updateType": "Differential", "localAuthorizationList": entries}
    async with bench.booted() as station:
        assert await bench.operator.call("SendLocalList", wanted) == {"status": "Accepted"}
        assert wanted in station.received("SendLocalList")
