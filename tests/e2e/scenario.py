"""The whole loop, end to end: the same steps against every deployment.

What is asserted is measured in the simulation, at the fuse and at the outlets, not in our books.
"""

import asyncio

from tests.conditions import eventually
from tests.e2e.bays import FALLBACK_A, FUSE_A, LEASE_S, TOKEN, Bays, site_of, three_bays
from tests.e2e.deployment import Deployment

BACKEND_ID = "PARKADE-PB"
MEASURING_A = 0.05
"""Float noise of the simulation's sums."""


async def share_one_fuse(deployment: Deployment) -> None:
    """Play the whole scenario."""
    async with three_bays(deployment) as bays:
        await _configure(deployment, bays)
        await _all_three_charge(bays)
        await _one_leaves_and_the_others_get_its_share(bays)
        await _the_backend_has_seen_the_power_brain(bays)
        await _nobody_exceeds_its_fallback_without_a_manager(deployment, bays)
        await _charging_goes_on_afterwards(deployment, bays)
        await _the_backend_stops_the_power_brain(bays)
        assert bays.peak_a <= FUSE_A + MEASURING_A


async def _configure(deployment: Deployment, bays: Bays) -> None:
    answer = await deployment.api.put("/api/v1/site", json=site_of(deployment, bays))
    assert answer.status_code == 200, answer.text
    await eventually(
        lambda: all(box.is_connected for box in bays.boxes),
        within_s=40,
        claim="both boxes are accepted",
    )
    await eventually(
        lambda: bays.backend.calls(BACKEND_ID, "BootNotification"),
        within_s=40,
        claim="the Power Brain has booted at its backend",
    )


async def _all_three_charge(bays: Bays) -> None:
    for bay in FALLBACK_A:
        bays.drive_in(bay)
    await eventually(
        lambda: all(bays.drawn_a(bay) > 10 for bay in FALLBACK_A),
        within_s=60,
        claim="all three charge with a fair share of 32 A",
    )
    for bay in FALLBACK_A:
        assert bays.drawn_a(bay) <= FUSE_A / 3 + 0.5, bay
    assert bays.peak_a <= FUSE_A + MEASURING_A


async def _one_leaves_and_the_others_get_its_share(bays: Bays) -> None:
    bays.drive_off("bay-2")
    await eventually(
        lambda: bays.drawn_a("bay-1") > 15 and bays.drawn_a("bay-3") > 15,
        within_s=5,
        claim="the others got the share of the one that left",
    )
    assert bays.peak_a <= FUSE_A + MEASURING_A


async def _the_backend_has_seen_the_power_brain(bays: Bays) -> None:
    backend = bays.backend
    actions = ("BootNotification", "StatusNotification", "Authorize", "StartTransaction")
    for action in actions:
        assert backend.calls(BACKEND_ID, action), action
    assert backend.calls(BACKEND_ID, "Authorize")[0]["idTag"] == TOKEN
    assert backend.calls(BACKEND_ID, "StartTransaction")[0]["connectorId"] == 1
    await eventually(
        lambda: backend.calls(BACKEND_ID, "MeterValues"),
        within_s=30,
        claim="the backend gets meter values",
    )


async def _nobody_exceeds_its_fallback_without_a_manager(
    deployment: Deployment, bays: Bays
) -> None:
    await deployment.lose_manager()
    await eventually(
        lambda: all(bays.drawn_a(bay) <= limit_a for bay, limit_a in FALLBACK_A.items()),
        within_s=LEASE_S + 25,
        claim="every bay fell back",
    )
    for _ in range(20):
        await asyncio.sleep(0.1)
        for bay, limit_a in FALLBACK_A.items():
            assert bays.drawn_a(bay) <= limit_a, bay
    assert bays.peak_a <= FUSE_A + MEASURING_A


async def _charging_goes_on_afterwards(deployment: Deployment, bays: Bays) -> None:
    await deployment.bring_back()
    await eventually(
        lambda: bays.drawn_a("bay-1") > 15 and bays.drawn_a("bay-3") > 15,
        within_s=90,
        claim="both remaining cars charge with their share again",
    )
    assert bays.peak_a <= FUSE_A + MEASURING_A
    starts = bays.backend.calls(BACKEND_ID, "StartTransaction")
    assert len(starts) == 1, "the transaction went on and was not started again"


async def _the_backend_stops_the_power_brain(bays: Bays) -> None:
    transaction = bays.backend.open_transactions(BACKEND_ID)[0]
    answer = await bays.backend.call(
        BACKEND_ID, "RemoteStopTransaction", {"transactionId": transaction}
    )
    assert answer == {"status": "Accepted"}
    await eventually(
        lambda: bays.drawn_a("bay-3") == 0,
        within_s=15,
        claim="the Power Brain stopped by order of its backend",
    )
    stopped = await eventually(
        lambda: bays.backend.calls(BACKEND_ID, "StopTransaction"),
        within_s=15,
        claim="the backend got the end of the transaction",
    )
    assert stopped[0]["transactionId"] == transaction
    assert stopped[0]["reason"] == "Remote"
    assert stopped[0]["meterStop"] > 0
