"""What the fuzz tests have found, one small test each."""

from pathlib import Path

import pytest

from ocpp_server.domain.handshake import Admission, Refusal
from shared.contracts.station import RefusalReason
from tests.fuzz.harness import UPGRADE, Hostile, fuzzed_core

ADMITTED = Admission(station_id="CP1", subprotocol="ocpp1.6", known=True)
REFUSED = Refusal(reason=RefusalReason.PASSWORD, status=401, detail="wrong")
TOO_OLD = UPGRADE.replace(b"Version: 13", b"Version: 7")
NO_FRAME = b"\xff\xff\xff"


@pytest.mark.parametrize(
    ("request_head", "decision"),
    [(UPGRADE, ADMITTED), (UPGRADE, REFUSED), (TOO_OLD, ADMITTED)],
    ids=["admitted", "refused", "no handshake"],
)
async def test_a_broken_frame_behind_the_upgrade_request_is_no_error_of_ours(
    tmp_path: Path, request_head: bytes, decision: Admission | Refusal
) -> None:
    async with fuzzed_core(tmp_path, seed=0) as world:
        hostile = Hostile(world.core, world.referee, world.rng)
        session = hostile._session
        session.connection_made(hostile._transport)
        session.data_received(request_head + NO_FRAME)
        failure: Exception | None = None
        try:
            session.settle(decision)
        except (AssertionError, RuntimeError) as error:
            failure = error
        hostile.lose()
    assert failure is None
