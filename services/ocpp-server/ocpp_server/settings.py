"""Deployment settings of the OCPP server."""

from pydantic import Field

from shared.settings import ServiceSettings


class OcppServerSettings(ServiceSettings):
    """Where stations connect to."""

    ocpp_host: str = "0.0.0.0"
    ocpp_port: int | None = Field(default=19520, ge=0, le=65535)
    """S5. None = no listener; 0 = any free port."""
