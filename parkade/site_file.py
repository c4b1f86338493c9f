"""A site in a file, as the command line is given it."""

from pathlib import Path

import yaml
from pydantic import ValidationError

from api.domain.problem import errors_in
from api.domain.site_rules import problems
from loadmgr.domain.public_site import public_site
from shared.contracts.site import SiteConfig
from shared.errors import ConfigError


def read_site(file: Path) -> SiteConfig:
    """Return the site in a YAML or JSON file. Raises ``ConfigError`` naming what to change."""
    try:
        return SiteConfig.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid YAML: {error}") from error
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigError(f"{file} cannot be used:\n" + "\n".join(lines)) from error


def read_imagined_site(file: Path) -> SiteConfig:
    """Return a site that is only tried out: secrets shown as ``***`` do not matter.

    Raises ``ConfigError`` as the api would refuse it.
    """
    site = public_site(read_site(file))
    found = errors_in(problems(site))
    if found:
        lines = [f"  {problem.path}: {problem.message}" for problem in found]
        raise ConfigError(f"{file} cannot be used:\n" + "\n".join(lines))
    return site
