"""The compose deployment of this repository, driven as an operator would: up, scale, kill, logs."""

import json
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.broker import free_port
from tests.compose.engine import Engine, compose_command, run
from tests.compose.images import ROOT

UP_WITHIN_S = 240.0
HEALTHY_WITHIN_S = 120.0


@dataclass(frozen=True)
class Container:
    """One container as ``docker inspect`` tells it."""

    id: str
    facts: dict[str, Any]

    @property
    def service(self) -> str:
        """Name of the service in the compose file."""
        return str(self.facts["Config"]["Labels"]["com.docker.compose.service"])

    @property
    def health(self) -> str:
        """healthy, unhealthy, starting; or its state where it does not run."""
        state = self.facts["State"]
        return str(state["Health"]["Status"] if state["Running"] else state["Status"])

    def address_in(self, network: str) -> str:
        """Address of the container in one of the project's networks."""
        networks = self.facts["NetworkSettings"]["Networks"]
        return str(next(n["IPAddress"] for name, n in networks.items() if name.endswith(network)))


@dataclass
class Project:
    """The files of the repository, copied unchanged beside secrets of the test's own."""

    engine: Engine
    folder: Path
    http_port: int = field(default_factory=free_port)
    ocpp_port: int = field(default_factory=free_port)
    name: str = "parkade-test"

    def __post_init__(self) -> None:
        shutil.copy(ROOT / "docker-compose.yml", self.folder)
        secrets = shutil.ignore_patterns("secrets")
        shutil.copytree(ROOT / "deploy", self.folder / "deploy", ignore=secrets)
        run(self.folder / "deploy" / "make-secrets")
        self._compose = compose_command()

    def secret(self, name: str) -> str:
        """Return one of the secrets that deploy/make-secrets made."""
        return (self.folder / "deploy" / "secrets" / name).read_text()

    @property
    def admin_token(self) -> str:
        """Bearer token for the REST API."""
        return self.secret("parkade_admin_token")

    @property
    def host_address(self) -> str:
        """The front network's gateway: where containers reach programs of this machine."""
        (network,) = json.loads(self.engine.docker("network", "inspect", f"{self.name}_front"))
        return str(network["IPAM"]["Config"][0]["Gateway"])

    def compose(self, *arguments: str, timeout_s: float = UP_WITHIN_S) -> str:
        """Run compose on the project; return what it printed."""
        environment = {
            **self.engine.environment,
            "PARKADE_HTTP_PORT": str(self.http_port),
            "PARKADE_OCPP_PORT": str(self.ocpp_port),
            "PARKADE_OCPP_BIND": "127.0.0.1",
        }
        command = (*self._compose, "--project-name", self.name, *arguments)
        return run(*command, env=environment, cwd=self.folder, timeout_s=timeout_s)

    def up(self, **replicas: int) -> None:
        """Start what does not run, in the wanted number, and wait until all of it is healthy."""
        scale = [
            word
            for service, count in replicas.items()
            for word in ("--scale", f"{service.replace('_', '-')}={count}")
        ]
        self.compose("up", "-d", "--no-build", *scale)
        self.wait_until_healthy()

    def down(self) -> None:
        """Stop everything and forget its data."""
        self.compose("down", "--volumes", "--timeout", "20")

    def containers(self, service: str | None = None) -> list[Container]:
        """Return the containers of the project or of one service, also those that ended."""
        filters = ["--filter", f"label=com.docker.compose.project={self.name}"]
        if service is not None:
            filters += ["--filter", f"label=com.docker.compose.service={service}"]
        ids = self.engine.docker("ps", "--all", "--quiet", "--no-trunc", *filters).split()
        if not ids:
            return []
        facts = json.loads(self.engine.docker("inspect", *ids))
        return [Container(fact["Id"], fact) for fact in facts]

    def kill(self, service: str) -> None:
        """End a service as a power cut would: all its containers, and they stay ended."""
        for container in self.containers(service):
            self.kill_container(container)

    def kill_container(self, container: Container) -> None:
        """End one replica as a power cut would."""
        self.engine.docker("kill", container.id)

    def start(self, service: str) -> None:
        """Start the ended containers of a service again, with their data, and wait for health."""
        self.engine.docker("start", *(container.id for container in self.containers(service)))
        self.wait_until_healthy()

    def wait_until_healthy(self) -> None:
        """Return when every container is healthy; fail with the logs of those that are not."""
        deadline = time.monotonic() + HEALTHY_WITHIN_S
        while ill := [c for c in self.containers() if c.health != "healthy"]:
            if time.monotonic() > deadline:
                names = {container.service: container.health for container in ill}
                raise AssertionError(f"not healthy: {names}\n{self.logs(*names)}")
            time.sleep(0.5)

    def logs(self, *services: str) -> str:
        """Return the last lines of what services printed, with the outcome of their checks."""
        printed = self.compose("logs", "--no-color", "--tail", "40", *services)
        checks = [
            f"{container.service}: {check['Output'].strip()}"
            for container in self.containers()
            if container.service in services and container.health != "healthy"
            for check in container.facts["State"].get("Health", {}).get("Log", [])[-1:]
        ]
        return "\n".join([printed, *checks])
