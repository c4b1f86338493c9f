"""Deployment settings of load management. What it does is the site's matter."""

from pathlib import Path

from pydantic import Field

from shared.settings import ServiceSettings


class LoadmgrSettings(ServiceSettings):
    """How much of what it decides is kept."""

    loadmgr_log_days: int = Field(default=31, ge=1, le=3_650)
    """How long the decision log is kept."""
    loadmgr_log_mib: int = Field(default=1_024, ge=0, le=1_048_576)
    """How large it may become; the oldest files go first. 0 = no decision log."""

    @property
    def log_folder(self) -> Path:
        """Where the decision log is."""
        return self.data_dir / "loadmgr"
