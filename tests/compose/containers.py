"""The compose deployment as the end-to-end scenario sees it: a ``tests.e2e`` Deployment."""

import asyncio
from dataclasses import dataclass

import httpx

from tests.compose.project import Project
from tests.e2e.deployment import operator


@dataclass
class InContainers:
    """``docker compose up``: eight containers, reached through their published ports."""

    project: Project
    name: str = "containers"

    def __post_init__(self) -> None:
        self.ocpp_port = self.project.ocpp_port
        self.api: httpx.AsyncClient = operator(self.project.http_port, self.project.admin_token)

    @property
    def simulators_host(self) -> str:
        """The front network's gateway. Simulators must listen there, or on all addresses."""
        return self.project.host_address

    async def start(self) -> None:
        """Start what does not run and wait until all containers are healthy."""
        await asyncio.to_thread(self.project.up)

    async def lose_manager(self) -> None:
        """Kill the broker."""
        await asyncio.to_thread(self.project.kill, "rabbitmq")

    async def bring_back(self) -> None:
        """Start the broker again on the same data and wait until all containers are healthy."""
        await asyncio.to_thread(self.project.start, "rabbitmq")

    async def stop(self) -> None:
        """Close the client. The containers belong to the fixture ``deployment``."""
        await self.api.aclose()

    @property
    def output(self) -> str:
        """What was logged."""
        return self.project.logs()
