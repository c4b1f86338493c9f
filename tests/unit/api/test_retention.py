"""What is let go of when: the rules, without a database."""

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from api import retention
from api.retention import BULK_EVERY_S, RECORDS_EVERY_S, Retention, Rule, rules_of
from api.settings import ApiSettings
from shared.clock import FakeClock
from shared.errors import StoreUnavailable

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BY_AGE = ("jobs", "reservations", "security_events", "signed_values")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BETWEEN_STEPS_S", 0)


class Tables:
    """Stores that remember what they were asked to delete."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def parts(self) -> Any:
        def store(*names: str, suffix: str = "") -> SimpleNamespace:
            return SimpleNamespace(**{f"forget_{n}": self._remember(n + suffix) for n in names})

        messages = store("before", suffix=" of messages")
        messages.forget_beyond = self._remember("rows of messages")
        return SimpleNamespace(
            messages=messages,
            meter_values=store("before", suffix=" of meter values"),
            samples=store("before", suffix=" of samples"),
            station_records=store(*(f"{name}_before" for name in BY_AGE)),
        )

    def _remember(self, name: str) -> Callable[[Any], Any]:
        async def forget(limit: Any) -> int:
            self.kept[name] = limit
            return 0

        return forget


def settings(**values: Any) -> ApiSettings:
    return ApiSettings(_env_file=None, **values)


async def kept_by(made: ApiSettings) -> dict[str, Any]:
    tables = Tables()
    await Retention(rules_of(made, tables.parts()), clock=FakeClock(NOON)).prune()
    return {
        name: (NOON - limit).days if isinstance(limit, datetime) else limit
        for name, limit in tables.kept.items()
    }


async def test_without_settings_everything_has_an_end_but_signed_values() -> None:
    assert await kept_by(settings()) == {
        "rows of messages": 2_000_000,
        "before of messages": 7,
        "before of meter values": 400,
        "before of samples": 90,
        "jobs_before": 90,
        "reservations_before": 90,
        "security_events_before": 365,
    }


async def test_each_setting_reaches_its_own_table() -> None:
    made = settings(
        message_log_rows=1_000,
        message_log_days=1,
        meter_value_days=2,
        history_days=3,
        station_job_days=4,
        reservation_days=5,
        security_event_days=6,
        signed_value_days=7,
    )
    assert await kept_by(made) == {
        "rows of messages": 1_000,
        "before of messages": 1,
        "before of meter values": 2,
        "before of samples": 3,
        "jobs_before": 4,
        "reservations_before": 5,
        "security_events_before": 6,
        "signed_values_before": 7,
    }


class OneTable:
    """So many rows, deleted ten at a time, and a switch that takes the database away."""

    def __init__(self, rows: int = 0) -> None:
        self.rows = rows
        self.steps: list[datetime] = []
        self.is_away = False

    async def forget_some(self, now: datetime) -> int:
        if self.is_away:
            raise StoreUnavailable("away")
        self.steps.append(now)
        gone = min(10, self.rows)
        self.rows -= gone
        return gone

    def rule(self, every_s: float = BULK_EVERY_S) -> Rule:
        return Rule(forget_some=self.forget_some, every_s=every_s)


async def test_rows_go_step_by_step_until_none_is_old() -> None:
    table = OneTable(rows=25)
    await Retention([table.rule()], clock=FakeClock(NOON)).prune()
    assert (table.rows, len(table.steps)) == (0, 4)


async def test_what_comes_one_by_one_is_looked_at_every_hour() -> None:
    clock, often, seldom = FakeClock(NOON), OneTable(), OneTable()
    keeper = Retention([often.rule(), seldom.rule(RECORDS_EVERY_S)], clock=clock)
    for _ in range(3):
        await keeper.prune()
        clock.advance(BULK_EVERY_S)
    assert (len(often.steps), len(seldom.steps)) == (3, 1)
    clock.advance(RECORDS_EVERY_S)
    await keeper.prune()
    assert seldom.steps == [NOON, clock.now()]


async def test_pruning_waits_for_the_database_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    table = OneTable(rows=5)
    table.is_away = True
    keeper = Retention([table.rule(RECORDS_EVERY_S)], clock=FakeClock(NOON))
    await keeper.prune()
    await keeper.prune()
    assert [record.message for record in caplog.records] == ["what is old stays for now: away"]
    table.is_away = False
    await keeper.prune()
    assert table.rows == 0, "it did not wait for another hour"
