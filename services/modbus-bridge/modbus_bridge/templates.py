"""The templates that Parkade ships, by id."""

from functools import cache
from importlib import resources

import yaml
from pydantic import ValidationError

from modbus_bridge.domain.template import Template
from shared.errors import ConfigError

_FOLDER = resources.files("modbus_bridge") / "templates"


def known_templates() -> tuple[str, ...]:
    """Return the ids of all shipped templates, in order."""
    names = (file.name for file in _FOLDER.iterdir())
    return tuple(sorted(n.removesuffix(".yaml") for n in names if n.endswith(".yaml")))


@cache
def load_template(template_id: str) -> Template:
    """Return a shipped template. Raises ``ConfigError`` that names the known ones."""
    if template_id not in known_templates():
        raise ConfigError(
            f"there is no Modbus template {template_id!r}; known are {', '.join(known_templates())}"
        )
    return parse_template((_FOLDER / f"{template_id}.yaml").read_text("utf-8"), name=template_id)


def parse_template(text: str, *, name: str) -> Template:
    """Return the template written in YAML. Raises ``ConfigError`` naming what is wrong."""
    try:
        template = Template.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, ValidationError) as error:
        raise ConfigError(f"Modbus template {name}: {error}") from error
    if template.id != name:
        raise ConfigError(f"Modbus template {name} calls itself {template.id}")
    return template
