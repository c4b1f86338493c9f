from modbus_bridge.domain.breaker import FAILURES, PAUSE_S, Breaker


def test_unit_is_left_alone_after_three_silences_and_tried_again_later() -> None:
    breaker = Breaker()
    for _ in range(FAILURES - 1):
        breaker = breaker.failed(100.0)
        assert breaker.allows(100.0)
    breaker = breaker.failed(100.0)
    assert not breaker.allows(100.0 + PAUSE_S - 0.1)
    assert breaker.allows(100.0 + PAUSE_S)
