"""Deployment settings of the gateway."""

from pydantic import Field

from shared.settings import ServiceSettings


class GatewaySettings(ServiceSettings):
    """How patient the gateway is with backends."""

    gateway_call_timeout_s: float = Field(default=30.0, gt=0, le=300)
    gateway_keep_days: int = Field(default=30, ge=1, le=3_650)
    """How long messages that a backend has answered are kept."""
