"""What a site is checked against is what the OCPP server has files of."""

from ocpp_server.model_files import load_models
from shared.station_models import FAULTS_AT_ZERO, STATION_MODELS


def test_the_names_are_those_of_the_model_files() -> None:
    assert list(STATION_MODELS) == sorted(load_models())


def test_what_faults_at_0_a_is_what_its_file_says() -> None:
    assert {n for n, model in load_models().items() if model.never_zero} == FAULTS_AT_ZERO
