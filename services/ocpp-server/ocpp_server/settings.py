"""Deployment settings of the OCPP server."""

from pydantic import Field, field_validator

from ocpp_server.domain.rates import Networks, networks_of
from shared.settings import ServiceSettings


class OcppServerSettings(ServiceSettings):
    """Where stations connect to."""

    ocpp_host: str = "0.0.0.0"
    ocpp_port: int | None = Field(default=19520, ge=0, le=65535)
    """S5. None = no listener; 0 = any free port."""
    ocpp_proxies: str = ""
    """Networks of balancers before this port, separated by commas. They tell by the PROXY protocol
    (version 2) where a station comes from; of nobody else that is believed."""

    @field_validator("ocpp_proxies")
    @classmethod
    def _names_networks(cls, text: str) -> str:
        networks_of(text)
        return text

    @property
    def proxy_networks(self) -> Networks:
        """The same, as networks."""
        return networks_of(self.ocpp_proxies)
