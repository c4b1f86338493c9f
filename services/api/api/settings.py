"""Where the api listens, who may come in, and how long history is kept."""

from pathlib import Path

from pydantic import Field, SecretStr

from shared.settings import ServiceSettings


class ApiSettings(ServiceSettings):
    """Deployment settings of the api."""

    http_host: str = "127.0.0.1"
    """Plain HTTP, so this machine only unless asked otherwise; put a TLS proxy before it."""
    http_port: int = Field(default=8080, ge=0, le=65535)
    admin_token: SecretStr | None = Field(default=None, min_length=16)
    """Bearer token for automation. None = a set-up link is printed until somebody used it."""
    site_file: Path | None = None
    """YAML site taken over at the first start, when the database holds none."""
    history_days: int = Field(default=90, ge=1, le=3650)
    station_job_days: int = Field(default=90, ge=1, le=36_500)
    """Firmware, diagnostics, logs, certificates: since the last that was told of one."""
    reservation_days: int = Field(default=90, ge=1, le=36_500)
    """Since the last change of one."""
    security_event_days: int = Field(default=365, ge=1, le=36_500)
    signed_value_days: int | None = Field(default=None, ge=1, le=36_500)
    """None = for ever: calibration law wants what was billed to stay verifiable."""
    meter_value_days: int = Field(default=400, ge=1, le=36_500)
    """Billing asks back for more than a year."""
    message_log_days: int = Field(default=7, ge=1, le=3650)
    message_log_rows: int = Field(default=2_000_000, ge=1_000)
    """Whichever of the two is reached first; 2,000,000 frames are about 1 GB."""
    history_interval_s: float = Field(default=10.0, ge=1, le=3600)
    """One row of each EVSE and meter in this time, and one at every change of state."""
