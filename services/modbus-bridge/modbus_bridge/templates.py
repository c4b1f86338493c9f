"""The templates that Parkade ships, by id."""

from functools import cache
from importlib import resources

import yaml
from pydantic import ValidationError

from modbus_bridge.domain.decode import writable
from modbus_bridge.domain.template import Point, Template
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
    _check_phases(template)
    return template


def _check_phases(template: Template) -> None:
    """A register that held another number than the one for the phases would never be right."""
    switch = None if template.control is None else template.control.phases
    if switch is None:
        return
    for value in (switch.one, switch.three):
        if not _fits(template.points[switch.write], value):
            raise ConfigError(
                f"Modbus template {template.id}: {switch.write} cannot hold {value:g}: correct "
                "one, three, or the type, scale and range of the point"
            )


def _fits(point: Point, value: float) -> bool:
    least = value if point.min is None else point.min
    most = value if point.max is None else point.max
    try:
        return least <= value <= most and abs(writable(point, value) - value) < 1e-6
    except ValueError:
        return False
