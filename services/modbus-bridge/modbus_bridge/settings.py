"""Deployment settings of the bridge."""

from pathlib import Path

from shared.settings import ServiceSettings


class ModbusBridgeSettings(ServiceSettings):
    """What every service needs; devices are part of the site."""

    @property
    def session_file(self) -> Path:
        """Where open sessions outlive a restart."""
        return self.data_dir / "modbus-bridge-sessions.json"
