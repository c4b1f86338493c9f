"""Deployment settings: from the environment, and refused in words that help."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from shared.errors import ConfigError
from shared.settings import ServiceSettings, load_settings, with_password


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_without_any_setting_everything_runs_in_one_process_on_sqlite() -> None:
    settings = load_settings(ServiceSettings)
    assert settings.bus_url == "memory://"
    assert settings.database_url_for("api") == f"sqlite+aiosqlite:///{Path.cwd()}/data/api.sqlite3"


def test_a_wrong_value_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARKADE_HEALTH_PORT", "many")
    with pytest.raises(ConfigError, match="PARKADE_HEALTH_PORT"):
        load_settings(ServiceSettings)


def test_a_placeholder_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARKADE_BUS_PASSWORD", "changeme")
    with pytest.raises(ConfigError, match="placeholder"):
        load_settings(ServiceSettings)


def test_secrets_are_read_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "parkade_bus_password").write_text("s3cr+t/\n")
    monkeypatch.setattr("shared.settings.SECRETS_DIR", tmp_path)
    monkeypatch.setenv("PARKADE_BUS_URL", "amqp://parkade@broker:5672/")
    settings = load_settings(ServiceSettings)
    assert settings.full_bus_url == "amqp://parkade:s3cr%2Bt%2F@broker:5672/"
    assert "s3cr" not in repr(settings)


@pytest.mark.parametrize(
    ("url", "password", "expected"),
    [
        ("amqp://u@h:1/v", "p", "amqp://u:p@h:1/v"),
        ("amqp://u:old@h/", "p", "amqp://u:old@h/"),
        ("amqp://u@h/", None, "amqp://u@h/"),
    ],
)
def test_password_is_put_beside_its_user(url: str, password: str | None, expected: str) -> None:
    assert with_password(url, SecretStr(password) if password else None) == expected
