"""What load management knows goes into JSON and comes back exactly."""

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf, nan
from typing import Any

import numpy as np
import orjson
import pytest

from loadmgr.domain import memory_form
from loadmgr.domain.log_record import OfferWord
from loadmgr.domain.memory_form import MemoryDoesNotFit, packed, unpacked
from loadmgr.domain.state import State
from shared.contracts.charging import LimitScope, Reason, ReasonCode
from shared.contracts.evse import EvseState
from shared.contracts.plan import ChargingPlan
from shared.units import PhaseAmps
from tests.unit.loadmgr.recording import RecordedGarage, live, site


def through(value: Any) -> Any:
    return unpacked(orjson.loads(orjson.dumps(packed(value))))


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        7,
        1.0,
        0.1 + 0.2,
        -inf,
        "x",
        (1, (2.5, "a")),
        [1, 2],
        {1, 2},
        frozenset({"a"}),
        {(LimitScope.CIRCUIT, "main", "ems"): 3},
        deque([(1.5, 2.0)], maxlen=3),
        datetime(2026, 3, 1, 8, 0, 0, 123_457, tzinfo=UTC),
        EvseState.C,
        PhaseAmps(l1=1.5),
        ChargingPlan(energy_wh=5.0),
        OfferWord(6.0, None, Reason(code=ReasonCode.WAITING)),
    ],
)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    back = through(value)
    assert back == value
    assert type(back) is type(value)


def test_a_deque_stays_as_long_as_it_may_be() -> None:
    assert through(deque([1], maxlen=5)).maxlen == 5


def test_numbers_of_numpy_stay_of_their_kind() -> None:
    array = through(np.array([[1.5, inf], [nan, 0.0]]))
    assert array.dtype == np.float64
    assert np.array_equal(array, np.array([[1.5, inf], [nan, 0.0]]), equal_nan=True)
    number = through(np.float32(0.1))
    assert (type(number), number) == (np.float32, np.float32(0.1))
    assert type(through(np.bool_(True))) is np.bool_


def test_all_that_a_garage_knows_comes_back() -> None:
    garage = RecordedGarage(site())
    live(garage, seed=1, steps=10)
    back = through(garage.state)
    assert isinstance(back, State)
    assert list(back.evses) == list("abcde")
    assert back.evses == garage.state.evses
    assert packed(back) == packed(garage.state)


@dataclass
class Older:
    """As it was before ``new`` came."""

    old: int


@dataclass
class Newer:
    old: int
    new: float = 2.5
    list: Any = field(default_factory=deque)


@dataclass
class Demanding:
    old: int
    new: float


@dataclass
class Quick:
    said: int
    _kept: Any = None


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(memory_form, "HOMES", (f"{__name__}.",))
    return __name__


def test_a_field_that_is_new_has_its_default(here: str) -> None:
    form = {**packed(Older(1)), "~": f"{here}:Newer", "gone": 3}
    assert unpacked(form) == Newer(1)


def test_what_is_kept_for_speed_is_left_out(here: str) -> None:
    assert unpacked(packed(Quick(1, object()))) == Quick(1)


@pytest.mark.parametrize(
    "form",
    [
        {"~": "os:system", "is": "true"},
        {"~": "loadmgr.domain.plan:decide"},
        {"~": "loadmgr.domain.state:Nothing"},
        {"~": "loadmgr.domain.nowhere:State"},
        {"~": "loadmgr.domain.memory_form:MemoryDoesNotFit"},
        {"~": "shared.contracts.evse:EvseState", "is": "Z"},
        {"~": "datetime", "is": "yesterday"},
        {"~": 3},
        {"no": "class"},
    ],
)
def test_what_is_not_of_this_program_is_refused(form: Any) -> None:
    with pytest.raises(MemoryDoesNotFit):
        unpacked(form)


def test_a_field_without_default_that_is_missing_is_refused(here: str) -> None:
    with pytest.raises(MemoryDoesNotFit, match="new"):
        unpacked({**packed(Older(1)), "~": f"{here}:Demanding"})


def test_what_has_no_form_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        packed((object(),))
