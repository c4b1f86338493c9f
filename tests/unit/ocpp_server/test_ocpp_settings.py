"""Deployment settings of the OCPP server."""

import pytest

from ocpp_server.domain.rates import is_within
from ocpp_server.settings import OcppServerSettings
from shared.errors import ConfigError
from shared.settings import load_settings


def test_nobody_is_a_balancer_unless_it_is_said() -> None:
    assert OcppServerSettings(_env_file=None).proxy_networks == ()


def test_balancers_are_networks_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARKADE_OCPP_PROXIES", "10.0.0.0/8, 172.16.0.0/12,::1")
    networks = load_settings(OcppServerSettings).proxy_networks
    assert is_within("10.1.2.3", networks)
    assert is_within("::1", networks)
    assert not is_within("192.168.0.1", networks)


def test_a_wrong_network_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARKADE_OCPP_PROXIES", "balancer")
    with pytest.raises(ConfigError, match=r"PARKADE_OCPP_PROXIES.*'balancer'"):
        load_settings(OcppServerSettings)
