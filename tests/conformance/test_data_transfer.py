"""Area DataTransfer."""

import pytest

from tests.conformance.bench import Bench

UNKNOWN_VENDOR = "org.example.nobody-knows-this"


@pytest.mark.parametrize("more", [{}, {"messageId": "hello"}, {"messageId": "m", "data": "{}"}])
async def test_tc_064_data_transfer_to_a_central_system(bench: Bench, more: dict[str, str]) -> None:
    """Data Transfer to a Central System"""
    async with bench.booted() as station:
        answer = await station.call("DataTransfer", {"vendorId": UNKNOWN_VENDOR, **more})
        assert answer["status"] in {"Rejected", "UnknownMessageId", "UnknownVendorId"}
