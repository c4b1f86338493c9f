"""Deployment settings of load management: none of its own. What it does is the site's matter."""

from shared.settings import ServiceSettings


class LoadmgrSettings(ServiceSettings):
    """The surroundings, as for every service."""
