"""What is counted is shown by ``/metrics``."""

from prometheus_client import REGISTRY, generate_latest

from ocpp_server.metrics import CALLS


def test_a_tally_is_shown_as_a_counter_with_its_label() -> None:
    before = CALLS.counts["Heartbeat"]
    CALLS.counts["Heartbeat"] += 2
    name = "parkade_ocpp_calls_total"
    assert REGISTRY.get_sample_value(name, {"action": "Heartbeat"}) == before + 2
    assert f'{name}{{action="Heartbeat"}}'.encode() in generate_latest()
