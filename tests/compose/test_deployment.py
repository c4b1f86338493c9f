"""What `docker compose up` promises: hardened containers, one port for stations, and replicas."""

import json
import socket
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from tests.compose.engine import CommandFailed
from tests.compose.project import Container, Project

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1500)]

OURS = {"ocpp-server", "gateway", "loadmgr", "modbus-bridge", "api"}
OTHERS = {"balancer", "rabbitmq", "postgres"}
SECRETS = ("parkade_bus_password", "parkade_database_password", "parkade_admin_token")
# A station that nobody configured is refused, and that too is an answer of the OCPP server.
ANSWERS = {101, 401, 403, 404}


@pytest.fixture(scope="module")
def containers(deployment: Project) -> list[Container]:
    return deployment.containers()


@pytest.fixture(scope="module")
def two_replicas(deployment: Project) -> Iterator[list[Container]]:
    deployment.up(ocpp_server=2)
    yield deployment.containers("ocpp-server")
    deployment.up(ocpp_server=1)


def handshake(port: int, *, tls: bool) -> tuple[int, bytes | None]:
    """Open a station's WebSocket; return the HTTP status and the server's certificate."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        if not tls:
            return _upgrade(plain), None
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(plain) as encrypted:
            return _upgrade(encrypted), encrypted.getpeercert(binary_form=True)


def _upgrade(connection: socket.socket) -> int:
    connection.sendall(
        b"GET /compose-test HTTP/1.1\r\nHost: parkade\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
    )
    status_line = connection.makefile("rb").readline().split()
    return int(status_line[1]) if len(status_line) > 1 else 0


def until(condition: Callable[[], bool], *, claim: str, within_s: float = 60.0) -> None:
    """Wait for a condition with a deadline."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {claim}"
        time.sleep(0.5)


def is_answered(port: int, *, tls: bool = False) -> bool:
    try:
        return handshake(port, tls=tls)[0] in ANSWERS
    except OSError:
        return False


def test_five_services_broker_database_and_balancer_are_healthy(
    containers: list[Container],
) -> None:
    assert {container.service for container in containers} == OURS | OTHERS
    assert {container.health for container in containers} == {"healthy"}


def test_no_container_runs_as_root(deployment: Project, containers: list[Container]) -> None:
    users = {c.service: deployment.engine.docker("exec", c.id, "id", "-u") for c in containers}
    assert {users[service].strip() for service in OURS} == {"10001"}
    assert "0" not in {user.strip() for user in users.values()}


def test_no_container_may_gain_rights_or_write_its_root(containers: list[Container]) -> None:
    for container in containers:
        host = container.facts["HostConfig"]
        assert host["ReadonlyRootfs"], container.service
        assert host["CapDrop"] == ["ALL"], container.service
        assert "no-new-privileges:true" in host["SecurityOpt"], container.service
        assert not host["Privileged"], container.service


@pytest.mark.parametrize("path", ["/new", "/opt/parkade/new", "/etc/new"])
def test_the_image_cannot_be_changed_from_inside(deployment: Project, path: str) -> None:
    (container,) = deployment.containers("api")
    with pytest.raises(CommandFailed, match="Read-only file system"):
        deployment.engine.docker("exec", container.id, "touch", path)


def test_no_secret_shows_in_what_the_engine_tells(
    deployment: Project, containers: list[Container]
) -> None:
    told = json.dumps([container.facts for container in containers])
    image = deployment.engine.docker("history", "--no-trunc", "parkade:local")
    for name in SECRETS:
        assert deployment.secret(name) not in told, name
        assert deployment.secret(name) not in image, name


def test_each_service_gets_only_the_secrets_it_needs(deployment: Project) -> None:
    def of(service: str) -> set[str]:
        (container,) = deployment.containers(service)
        return set(deployment.engine.docker("exec", container.id, "ls", "/run/secrets").split())

    assert of("loadmgr") == of("modbus-bridge") == {"parkade_bus_password"}
    assert of("ocpp-server") == of("gateway") == set(SECRETS[:2])
    assert of("api") == set(SECRETS)


def test_only_stations_and_operators_can_come_in(
    deployment: Project, containers: list[Container]
) -> None:
    published = {
        (container.service, inside)
        for container in containers
        for inside, outside in container.facts["NetworkSettings"]["Ports"].items()
        if outside
    }
    assert published == {("balancer", "19520/tcp"), ("api", "8080/tcp")}
    (api,) = deployment.containers("api")
    assert api.facts["NetworkSettings"]["Ports"]["8080/tcp"][0]["HostIp"] == "127.0.0.1"


def test_api_is_alive_on_its_published_port(deployment: Project) -> None:
    url = f"http://127.0.0.1:{deployment.http_port}/livez"
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_station_reaches_the_ocpp_server_through_the_balancer(
    deployment: Project, *, tls: bool
) -> None:
    status, certificate = handshake(deployment.ocpp_port, tls=tls)
    assert status in ANSWERS
    assert (certificate is not None) == tls


def test_containers_reach_this_machine(deployment: Project) -> None:
    """Simulated wallboxes of the end-to-end tests listen here."""
    (bridge,) = deployment.containers("modbus-bridge")
    with socket.create_server((deployment.host_address, 0)) as wallbox:
        wallbox.settimeout(10)
        address, port = wallbox.getsockname()
        connect = f"import socket; socket.create_connection(({address!r}, {port}), timeout=5)"
        deployment.engine.docker("exec", bridge.id, "python", "-c", connect)
        peer, _ = wallbox.accept()
        peer.close()


def test_broker_keeps_its_data_over_a_kill(deployment: Project) -> None:
    deployment.kill("rabbitmq")
    deployment.start("rabbitmq")
    users = deployment.compose("exec", "-T", "rabbitmq", "rabbitmqctl", "-q", "list_users")
    assert "parkade" in users
    assert "guest" not in users


def test_replicas_show_the_same_certificate_and_stand_in_for_each_other(
    deployment: Project, two_replicas: list[Container]
) -> None:
    certificates = set()
    for survivor, victim in (two_replicas, reversed(two_replicas)):
        deployment.kill_container(victim)
        until(
            lambda: all(is_answered(deployment.ocpp_port) for _ in range(5)),
            claim=f"the balancer sends stations to {survivor.facts['Name']}",
        )
        certificates.add(handshake(deployment.ocpp_port, tls=True)[1])
        deployment.start("ocpp-server")
    assert len(certificates) == 1


def test_stations_are_spread_over_the_replicas(
    deployment: Project, two_replicas: list[Container]
) -> None:
    def balancer_knows_both() -> bool:
        log = deployment.compose("logs", "--no-color", "balancer")
        return all(replica.address_in("_front") in log for replica in two_replicas)

    until(balancer_knows_both, claim="both replicas are in the balancer's table")
