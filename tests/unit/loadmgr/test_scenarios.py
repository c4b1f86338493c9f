"""Runs the rulebook in tests/scenarios: site and events over time, and what is expected when."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.contracts.site import SiteConfig
from tests.unit.loadmgr.garage import Car, Garage

RULEBOOK = sorted((Path(__file__).parents[2] / "scenarios").glob("*.yaml"))


def site_of(given: dict[str, Any]) -> SiteConfig:
    """Build a site of the short form: stations are made of their EVSEs."""
    evses, stations = [], []
    for evse_id, settings in given["evses"].items():
        own = dict(settings or {})
        protocol = own.pop("protocol", "ocpp")
        access = {"modbus": {"template": "any", "host": "box"}} if protocol == "modbus" else {}
        station_id = own.setdefault("station", f"st-{evse_id}")
        stations.append({"id": station_id, "protocol": protocol} | access)
        own.setdefault("circuit", given["circuits"][0]["id"])
        evses.append({"id": evse_id} | own)
    meters = [
        {"id": id_, "modbus": {"template": "any", "host": "meter"}} | settings
        for id_, settings in given.get("meters", {}).items()
    ]
    rest = {k: v for k, v in given.items() if k not in {"evses", "meters"}}
    return SiteConfig.model_validate(
        rest | {"evses": evses, "stations": stations, "meters": meters}
    )


def plug(garage: Garage, cars: dict[str, Any]) -> None:
    for evse_id, car in cars.items():
        garage.boxes[evse_id].car = Car(**car)


def unplug(garage: Garage, evse_ids: list[str]) -> None:
    for evse_id in evse_ids:
        garage.boxes[evse_id].unplug()


def vanish(garage: Garage, evse_ids: list[str]) -> None:
    for evse_id in evse_ids:
        garage.vanish(evse_id)


def come_back(garage: Garage, evse_ids: list[str]) -> None:
    for evse_id in evse_ids:
        garage.come_back(evse_id)


def set_boxes(garage: Garage, boxes: dict[str, Any]) -> None:
    for evse_id, settings in boxes.items():
        for name, value in settings.items():
            setattr(garage.boxes[evse_id], name, value)


def set_base(garage: Garage, base_a: dict[str, list[float]]) -> None:
    garage.base_a.update(base_a)


def shine(garage: Garage, sun_a: dict[str, list[float]]) -> None:
    garage.sun_a.update(sun_a)


def want(garage: Garage, wants_a: dict[str, float]) -> None:
    for evse_id, amps in wants_a.items():
        car = garage.boxes[evse_id].car
        assert car is not None
        car.wants_a = amps


def permit(garage: Garage, words: dict[str, Any]) -> None:
    for evse_id, word in words.items():
        garage.permit(evse_id, word["permitted"], word.get("limit_a"))


def set_limits(garage: Garage, limits: dict[str, dict[str, float]]) -> None:
    """``circuit main operator: {amps: 16}``: scope, target, source."""
    for where, word in limits.items():
        scope, target, source = where.split()
        garage.limit(scope, target, source, word)


def set_plans(garage: Garage, plans: dict[str, dict[str, float]]) -> None:
    """``a: {departs_at: 2, kwh: 10}``: hours from now; ``charge`` and ``limit_a`` by hand."""
    for evse_id, word in plans.items():
        garage.plan(evse_id, word)


def silence_backend(garage: Garage, evse_ids: list[str]) -> None:
    for evse_id in evse_ids:
        del garage.permissions[evse_id]


def silence_meters(garage: Garage, meter_ids: list[str]) -> None:
    garage.silent_meters |= set(meter_ids)


def revive_meters(garage: Garage, meter_ids: list[str]) -> None:
    garage.silent_meters -= set(meter_ids)


def change_site(garage: Garage, changes: dict[str, Any]) -> None:
    garage.load(garage.site.model_copy(update=site_changes(garage.site, changes)))


def take_over(garage: Garage, _: object) -> None:
    garage.take_over()


VERBS: dict[str, Callable[[Garage, Any], None]] = {
    "plug": plug,
    "unplug": unplug,
    "vanish": vanish,
    "come_back": come_back,
    "boxes": set_boxes,
    "base": set_base,
    "sun": shine,
    "wants": want,
    "permit": permit,
    "limits": set_limits,
    "plans": set_plans,
    "backend_silent": silence_backend,
    "meter_silent": silence_meters,
    "meter_back": revive_meters,
    "site": change_site,
    "takeover": take_over,
}


def happen(garage: Garage, event: dict[str, Any]) -> None:
    """Let happen what an entry says, except its expectations."""
    for verb, what in event.items():
        if verb not in {"at", "expect"}:
            VERBS[verb](garage, what)


def site_changes(site: SiteConfig, changes: dict[str, Any]) -> dict[str, Any]:
    """Return validated changes: top-level settings, and ``evses`` by id."""
    raw = site.model_dump(mode="json")
    for evse in raw["evses"]:
        evse.update(changes.get("evses", {}).get(evse["id"], {}))
    raw.update({k: v for k, v in changes.items() if k != "evses"})
    changed = SiteConfig.model_validate(raw)
    return {name: getattr(changed, name) for name in SiteConfig.model_fields}


def said(garage: Garage, evse_id: str) -> str:
    """Return the reason of an offer as the rulebook writes it: ``circuit main L1``."""
    reason = garage.offer(evse_id).reason
    words = [
        reason.code.value,
        reason.circuit,
        reason.group,
        reason.phase and reason.phase.value,
        reason.source,
    ]
    return " ".join(word for word in words if word)


def lacks_wh(garage: Garage, evse_id: str) -> float:
    """Return what a session is forecast to lack at departure."""
    forecast = garage.offer(evse_id).forecast
    assert forecast is not None
    return forecast.misses_wh


NUMBERS: dict[str, tuple[Callable[[Garage, str], float], float]] = {
    "offers": (lambda garage, evse_id: garage.offer(evse_id).limit_a, 0.051),
    "reserved": (lambda garage, evse_id: garage.offer(evse_id).reserved_a, 0.051),
    "draws": (lambda garage, evse_id: max(garage.boxes[evse_id].grid_a), 0.051),
    "phases": (lambda garage, evse_id: garage.boxes[evse_id].phases, 0.0),
    "lacks_kwh": (lambda garage, evse_id: lacks_wh(garage, evse_id) / 1_000, 0.101),
}
"""What an expectation may say of each EVSE, and how exactly."""


def check(garage: Garage, expected: dict[str, Any], since: float) -> None:
    """Compare what an entry expects with what is."""
    for name, (number, tolerance) in NUMBERS.items():
        for evse_id, wanted in expected.get(name, {}).items():
            assert number(garage, evse_id) == pytest.approx(wanted, abs=tolerance), evse_id
    if "offers_sorted" in expected:
        offers = sorted(garage.offer(evse_id).limit_a for evse_id in garage.boxes)
        assert offers == pytest.approx(expected["offers_sorted"], abs=0.051)
    for evse_id, amps in expected.get("at_most", {}).items():
        assert garage.offer(evse_id).limit_a <= amps + 1e-6, evse_id
    for evse_id, amps in expected.get("at_least", {}).items():
        assert garage.offer(evse_id).limit_a >= amps - 1e-6, evse_id
    for evse_id, text in expected.get("reasons", {}).items():
        assert said(garage, evse_id) == text, evse_id
    check_wholes(garage, expected, since)


def check_wholes(garage: Garage, expected: dict[str, Any], since: float) -> None:
    """Compare what concerns no single EVSE."""
    assert garage.decision is not None
    if "setpoints" in expected:
        assert len(garage.sent) == expected["setpoints"]
    if "changes_at_most" in expected:
        assert garage.changes_since(since) <= expected["changes_at_most"]
    if "disobeying" in expected:
        assert sorted(garage.decision.disobeying) == expected["disobeying"]
    if "silent_meters" in expected:
        assert sorted(m.id for m in garage.decision.silent_meters) == expected["silent_meters"]
    for circuit_id, amps in expected.get("uncontrolled", {}).items():
        load = next(c for c in garage.decision.decided.circuits if c.circuit_id == circuit_id)
        assert list(load.uncontrolled_a) == pytest.approx(amps, abs=0.051)


@pytest.mark.parametrize("path", RULEBOOK, ids=lambda path: path.stem)
def test_scenario(path: Path) -> None:
    scenario = yaml.safe_load(path.read_text())
    assert scenario["because"].strip(), "a rule says why"
    garage = Garage(site_of(scenario["given"]))
    since = 0.0
    for event in scenario["events"]:
        garage.run(event["at"] - garage.t)
        if "expect" in event:
            # an expectation speaks of the decision that the facts up to then have led to
            check(garage, event["expect"], since)
            since = garage.t
        happen(garage, event)
    assert len(garage.overloads) <= scenario.get("overload_steps", 0), garage.overloads[:5]


def test_the_rulebook_is_there() -> None:
    assert len(RULEBOOK) >= 60
