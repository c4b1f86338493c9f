"""Deployment settings: from ``PARKADE_…`` variables and files under /run/secrets, checked at start.

What an operator configures in the running system is the site (``shared.contracts.site``), not this.
"""

from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import ConfigError

SECRETS_DIR = Path("/run/secrets")
PLACEHOLDERS = frozenset({"changeme", "change-me", "secret", "password", "admin", "test"})


class ServiceSettings(BaseSettings):
    """What every service needs to know of its surroundings."""

    model_config = SettingsConfigDict(
        env_prefix="PARKADE_",
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
    )

    bus_url: str = "memory://"
    bus_password: SecretStr | None = None
    database_url: str | None = None
    """SQLAlchemy URL. None = one SQLite file for each service in ``data_dir``."""
    database_password: SecretStr | None = None
    data_dir: Path = Path("data")
    health_host: str = "0.0.0.0"
    health_port: int | None = Field(default=None, ge=0, le=65535)
    """Port of /livez, /readyz and /metrics; None = not served."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["text", "json"] = "text"

    @field_validator("bus_password", "database_password", "admin_token", check_fields=False)
    @classmethod
    def _is_no_placeholder(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and secret.get_secret_value().strip().lower() in PLACEHOLDERS:
            raise ValueError(
                "is a placeholder; set a random value (deploy/make-secrets makes some)"
            )
        return secret

    @property
    def full_bus_url(self) -> str:
        """The bus URL with its password in it. Never log this."""
        return with_password(self.bus_url, self.bus_password)

    def database_url_for(self, service: str) -> str:
        """Return the URL of a service's own database."""
        if self.database_url is not None:
            return with_password(self.database_url, self.database_password)
        return f"sqlite+aiosqlite:///{(self.data_dir / f'{service}.sqlite3').absolute()}"


S = TypeVar("S", bound=ServiceSettings)


def load_settings(kind: type[S], **overrides: object) -> S:
    """Return the settings of this machine. Raises ``ConfigError`` naming each wrong variable."""
    secrets = str(SECRETS_DIR) if SECRETS_DIR.is_dir() else None
    try:
        return kind(_secrets_dir=secrets, **overrides)  # type: ignore[arg-type]  # checked by pydantic
    except ValidationError as error:
        lines = [
            f"PARKADE_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()
        ]
        raise ConfigError("settings cannot be used:\n  " + "\n  ".join(lines)) from error


def with_password(url: str, password: SecretStr | None) -> str:
    """Return the URL with a password put beside its user name, encoded."""
    if password is None:
        return url
    parts = urlsplit(url)
    if parts.password is not None:
        return url
    secret = quote(password.get_secret_value().strip(), safe="")
    location = f"{parts.username or ''}:{secret}@{parts.netloc.rpartition('@')[2]}"
    return urlunsplit(parts._replace(netloc=location))
