"""The model files that Parkade ships, by name: one file is one model of station."""

from functools import cache
from importlib import resources

import yaml
from pydantic import ValidationError

from ocpp_server.domain.model import Model
from shared.errors import ConfigError

_FOLDER = resources.files("ocpp_server") / "models"


@cache
def load_models() -> dict[str, Model]:
    """Return every shipped model. Raises ``ConfigError`` naming the file that is wrong."""
    files = sorted(_FOLDER.iterdir(), key=lambda file: file.name)
    return {
        file.name.removesuffix(".yaml"): parse_model(file.read_text("utf-8"), name=file.name)
        for file in files
        if file.name.endswith(".yaml")
    }


def parse_model(text: str, *, name: str) -> Model:
    """Return the model written in YAML. Raises ``ConfigError`` naming what is wrong."""
    try:
        return Model.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, ValidationError) as error:
        raise ConfigError(f"model file {name}: {error}") from error
