"""Certificates over REST and the bus: imported, made, signed, used in TLS (S19, S21, S22)."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api import certificate_keeper
from api.authority import KeyType, make_root
from api.certificate_keeper import CertificateKeeper
from api.domain.certificate_chain import Use
from api.domain.certificates import record_of
from api.domain.pem import certificates_pem, key_pem
from api.service import MIGRATIONS, build_parts
from api.settings import ApiSettings
from api.storage.certificates import CertificateStore
from shared.bus.memory import MemoryBus
from shared.bus.port import Bus, Delivery
from shared.clock import SYSTEM_CLOCK
from shared.contracts.alarm import AlarmChanged
from shared.contracts.certificate import (
    CertificatesAnswer,
    CertificatesChanged,
    GetCertificates,
    SignedCertificate,
    SignStationCertificate,
)
from shared.contracts.message import Address
from shared.contracts.station import FactsRequested
from shared.errors import Unroutable
from shared.store import open_database
from shared.tls import server_context
from tests.conditions import eventually
from tests.integration.test_api import SITE, RunningApi, running
from tests.openssl import (
    ORGANISATION,
    Files,
    OpensslRoot,
    openssl,
    request_of,
    self_signed,
)
from tests.postgres import postgres  # noqa: F401 - a fixture

PASSPHRASE = "Ümläut & Co"
AUTHORITY = {"common_name": "Eigene Wurzel", "organisation": ORGANISATION, "key_type": "ec"}
SERVER = {"names": ["*.garage.example", "127.0.0.1"], "common_name": "csms.garage.example"}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str | None:
    if request.param == "sqlite":
        return None
    url: str = request.getfixturevalue("postgres").new_database()
    return url


@pytest.fixture
async def api(database_url: str | None, tmp_path: Path) -> AsyncIterator[RunningApi]:
    async with running(tmp_path, database_url) as started:
        yield started


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> tuple[OpensslRoot, Files]:
    made = OpensslRoot(tmp_path_factory.mktemp("root"), PASSPHRASE, "Kölner Wurzel")
    return made, made.make()


async def post(api: RunningApi, path: str, body: dict[str, Any]) -> Any:
    """Send something that must succeed; returns the answer's content."""
    answer = await api.client.post(f"/certificates{path}", json=body)
    assert answer.is_success, answer.text
    assert "PRIVATE" not in answer.text
    return answer.json()


async def listed(api: RunningApi) -> list[dict[str, Any]]:
    answer = await api.client.get("/certificates")
    assert "PRIVATE" not in answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


async def certificates(bus: Bus) -> CertificatesAnswer:
    return await bus.ask(GetCertificates(), timeout_s=5)


async def signature(api: RunningApi, station_id: str, csr: str) -> SignedCertificate:
    return await api.bus.ask(
        SignStationCertificate(station_id=station_id, csr_pem=csr), timeout_s=5
    )


def site_showing(certificate: str, url: str = "wss://backend.example/") -> dict[str, Any]:
    backend = {"url": url, "client_id": "G", "client_certificate": certificate}
    first, *others = SITE["evses"]
    return {"evses": [first | {"backend": backend}, *others]}


# Nothing yet


async def test_without_certificates_the_answer_is_empty(api: RunningApi) -> None:
    answer = await certificates(api.bus)
    assert answer == CertificatesAnswer(revision=0)
    assert await listed(api) == []


async def test_only_operators_see_certificates(api: RunningApi) -> None:
    for method, path in (("GET", "/certificates"), ("POST", "/certificates/authority")):
        answer = await api.client.request(method, path, headers={"Authorization": ""}, json={})
        assert answer.status_code == 401


# Import


async def test_an_openssl_server_certificate_is_shown_to_stations_with_its_chain(
    api: RunningApi, root: tuple[OpensslRoot, Files]
) -> None:
    maker, root_files = root
    leaf = maker.pair("ladeserver", names="DNS:*.garage.example")
    added = await post(
        api,
        "",
        {
            "use": "server",
            "certificate": root_files.certificate + leaf.certificate,
            "key": leaf.key,
        },
    )
    [view] = added["certificates"]
    assert view["subject"] == f"CN=ladeserver,O={ORGANISATION},C=DE"
    assert "Kölner Wurzel" in view["issuer"]
    assert (view["key_type"], view["names"]) == ("RSA 2048", ["*.garage.example"])
    assert (view["state"], view["in_service"], view["has_key"]) == ("valid", True, True)
    assert view["days_left"] == 364
    [pair] = (await certificates(api.bus)).server
    assert pair.certificate_pem == leaf.certificate + root_files.certificate
    server_context([pair])
    downloaded = await api.client.get(f"/certificates/{view['id']}.pem")
    assert downloaded.text == pair.certificate_pem
    assert (await api.client.get(f"/certificates/{view['id']}")).json()["id"] == "ladeserver"


async def test_a_protected_root_of_openssl_signs_for_us(
    api: RunningApi, root: tuple[OpensslRoot, Files], tmp_path: Path
) -> None:
    root_files = root[1]
    body = {
        "use": "authority",
        "certificate": root_files.certificate,
        "key": root_files.key,
        "passphrase": PASSPHRASE,
    }
    await post(api, "", body)
    made = await post(api, "/server", SERVER)
    assert {one["issuer"] for one in made["certificates"]} == {
        f"CN=Kölner Wurzel,O={ORGANISATION},C=DE"
    }
    (tmp_path / "root.crt").write_text(root_files.certificate)
    for pair in (await certificates(api.bus)).server:
        (tmp_path / "leaf.crt").write_text(pair.certificate_pem)
        host = ("-verify_hostname", "a.garage.example")
        verified = openssl(tmp_path, "verify", "-CAfile", "root.crt", *host, "leaf.crt")
        assert "OK" in verified


@pytest.mark.parametrize(
    ("changes", "field", "claim"),
    [
        ({"passphrase": "wrong"}, "passphrase", "does not open"),
        ({"passphrase": None}, "passphrase", "send its passphrase"),
        ({"key": None}, "key", "needs its private key"),
        ({"certificate": "none"}, "certificate", "no readable PEM"),
        ({"key": "none"}, "key", "no PEM private key"),
        ({"use": "station_trust"}, "key", "stays with its owner"),
    ],
)
async def test_what_is_wrong_with_an_import_is_said(
    tmp_path: Path,
    root: tuple[OpensslRoot, Files],
    changes: dict[str, Any],
    field: str,
    claim: str,
) -> None:
    good = {
        "use": "authority",
        "certificate": root[1].certificate,
        "key": root[1].key,
        "passphrase": PASSPHRASE,
    }
    async with running(tmp_path) as api:
        answer = await api.client.post("/certificates", json=good | changes)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        [problem] = answer.json()["problems"]
        assert problem["path"] == field
        assert claim in problem["message"]
        assert root[1].key[40:80] not in answer.text
        assert (await certificates(api.bus)).revision == 0


async def test_a_key_of_another_certificate_and_an_expired_one_are_refused(
    api: RunningApi, tmp_path: Path
) -> None:
    one, other = self_signed(tmp_path, "one"), self_signed(tmp_path, "other")
    ended = make_root(
        "gone", "", key_type=KeyType.EC, days=1, now=SYSTEM_CLOCK.now() - timedelta(days=2)
    )
    gone = Files(certificates_pem(ended.chain), key_pem(ended.key))
    for files, claim in (
        (Files(one.certificate, other.key), "does not fit"),
        (gone, "expired on"),
    ):
        answer = await api.client.post(
            "/certificates",
            json={"use": "server", "certificate": files.certificate, "key": files.key},
        )
        assert (answer.status_code, claim in answer.json()["detail"]) == (422, True)


async def test_what_is_kept_already_is_not_kept_twice(api: RunningApi, tmp_path: Path) -> None:
    first, second = self_signed(tmp_path, "first"), self_signed(tmp_path, "second")
    trust = {"use": "station_trust", "certificate": first.certificate}
    await post(api, "", trust)
    assert (await api.client.post("/certificates", json=trust)).status_code == 409
    both = trust | {"certificate": first.certificate + second.certificate}
    added = await post(api, "", both)
    assert [one["name"] for one in added["certificates"]] == ["second"]
    answer = await certificates(api.bus)
    assert answer.station_trust == (first.certificate, second.certificate)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", {"use": "toaster", "certificate": "x"}),
        ("", {"use": "server", "certificate": "x", "pasphrase": "x"}),
        ("/server", {"names": []}),
        ("/server", {"names": ["https://garage.example"]}),
        ("/authority", {"common_name": "x" * 65}),
        ("/authority", {"common_name": "x", "days": 0}),
        ("/csr", {"use": "authority", "common_name": "x"}),
    ],
)
async def test_a_body_that_does_not_fit_is_refused(
    tmp_path: Path, path: str, body: dict[str, Any]
) -> None:
    async with running(tmp_path) as api:
        await post(api, "/authority", AUTHORITY)
        answer = await api.client.post(f"/certificates{path}", json=body)
        assert answer.status_code == 422
        assert answer.json()["problems"]
        assert len(await listed(api)) == 1


# Made here


async def test_every_change_counts_the_revision_up_and_is_told(api: RunningApi) -> None:
    told: list[int] = []

    async def heard(delivery: Delivery[CertificatesChanged]) -> None:
        told.append(delivery.message.revision)

    await api.bus.listen([CertificatesChanged], heard)
    await post(api, "/authority", AUTHORITY)
    await post(api, "/server", SERVER)
    assert (await api.client.delete("/certificates/eigene-wurzel")).status_code == 204
    assert (await api.client.delete("/certificates/eigene-wurzel")).status_code == 404
    await eventually(lambda: told == [1, 2, 3])
    assert (await certificates(api.bus)).revision == 3


async def test_without_an_authority_nothing_is_signed(api: RunningApi) -> None:
    answer = await api.client.post("/certificates/server", json=SERVER)
    assert answer.status_code == 409
    assert "/certificates/authority" in answer.json()["detail"]
    assert (await certificates(api.bus)).revision == 0


async def test_the_operators_name_is_in_what_is_made(api: RunningApi) -> None:
    await api.put_site(ocpp_server={"cpo_name": "CPO Köln"})
    await post(api, "/authority", {"common_name": "Root", "key_type": "ec"})
    made = await post(api, "/client", {"name": "Abrechnung", "common_name": "garage-1"})
    [client] = made["certificates"]
    assert client["subject"] == "O=CPO Köln,CN=garage-1"
    assert client["issuer"] == "O=CPO Köln,CN=Root"
    assert client["id"] == "abrechnung"


async def test_a_root_is_rsa_unless_told_otherwise(api: RunningApi) -> None:
    made = await post(api, "/authority", {})
    assert [one["key_type"] for one in made["certificates"]] == ["RSA 3072"]


async def test_certificates_survive_a_restart(tmp_path: Path, database_url: str | None) -> None:
    async with running(tmp_path, database_url) as first:
        await post(first, "/authority", AUTHORITY)
        await post(first, "/server", SERVER)
        before = await certificates(first.bus)
    async with running(tmp_path, database_url) as second:
        assert await certificates(second.bus) == before


# TLS with them


async def handshake(
    server: ssl.SSLContext, client: ssl.SSLContext, *, name: str = "csms.garage.example"
) -> str:
    """Return the suite that both agree on and the name the server has seen, or the refusal."""
    seen: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def served(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peercert") or {}
        names = dict(pair for part in peer.get("subject", ()) for pair in part)
        seen.set_result(f"{writer.get_extra_info('cipher')[0]} {names.get('commonName')}")
        writer.close()

    listening = await asyncio.start_server(served, "127.0.0.1", 0, ssl=server)
    port = listening.sockets[0].getsockname()[1]
    async with listening:
        try:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=client, server_hostname=name
            )
            await reader.read()
            writer.close()
        except (ssl.SSLError, ConnectionError) as error:
            return f"refused: {error}"
        async with asyncio.timeout(5):
            return await seen


def station_side(trusted: str, *, suites: str = "", folder: Path | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=trusted)
    if suites:
        context.set_ciphers(suites)
    if folder is not None:
        context.load_cert_chain(folder / "station.crt", folder / "station.key")
    return context


async def test_rsa_and_ec_stations_both_get_a_server_certificate_they_can_verify(
    api: RunningApi,
) -> None:
    await post(api, "/authority", AUTHORITY)
    await post(api, "/server", SERVER)
    answer = await certificates(api.bus)
    assert [pair.certificate_id for pair in answer.server] == [
        "csms-garage-example-rsa",
        "csms-garage-example-ec",
    ]
    server, [root_pem] = server_context(answer.server), answer.station_trust
    for suite in ("ECDHE-ECDSA-AES128-GCM-SHA256", "AES256-GCM-SHA384"):
        agreed = await handshake(server, station_side(root_pem, suites=suite))
        assert agreed == f"{suite} None"
    wrong = await handshake(server, station_side(root_pem), name="csms.other.example")
    assert "mismatch" in wrong.lower()


@pytest.mark.parametrize("algorithm", ["RSA", "EC"])
async def test_a_station_comes_in_with_the_certificate_that_was_signed_for_it(
    api: RunningApi, tmp_path: Path, algorithm: str
) -> None:
    station = SITE["stations"][0] | {"certificate_name": "SN-0815"}
    changed = {"stations": [station, SITE["stations"][1]], "ocpp_server": {"cpo_name": "CPO Köln"}}
    assert (await api.put_site(**changed)).is_success
    await post(api, "/authority", AUTHORITY)
    await post(api, "/server", SERVER)
    signed = await signature(api, "box-1", request_of(tmp_path, "SN-0815", algorithm=algorithm))
    assert signed.refusal == ""
    (tmp_path / "station.crt").write_text(signed.chain_pem or "")
    subject = openssl(
        tmp_path,
        "x509",
        "-in",
        "station.crt",
        "-noout",
        "-subject",
        "-nameopt",
        "utf8,sep_comma_plus",
    )
    assert "CPO Köln" in subject
    answer = await certificates(api.bus)
    server = server_context(answer.server, station_trust=answer.station_trust)
    agreed = await handshake(server, station_side(answer.station_trust[0], folder=tmp_path))
    assert agreed.endswith(" SN-0815")
    stranger = self_signed(tmp_path, "SN-0815")
    (tmp_path / "station.crt").write_text(stranger.certificate)
    (tmp_path / "station.key").write_text(stranger.key)
    refused = await handshake(server, station_side(answer.station_trust[0], folder=tmp_path))
    assert refused.startswith("refused")


async def test_a_signature_that_is_not_given_is_explained(api: RunningApi, tmp_path: Path) -> None:
    await api.put_site()
    good, other = request_of(tmp_path, "Box-1"), request_of(tmp_path, "Box-7")
    assert "no own authority" in (await signature(api, "Box-1", good)).refusal
    await post(api, "/authority", AUTHORITY)
    assert "not configured" in (await signature(api, "Box-7", other)).refusal
    assert "certificate_name to 'Box-7'" in (await signature(api, "Box-1", other)).refusal
    assert "no readable PEM" in (await signature(api, "Box-1", "junk")).refusal
    assert (await signature(api, "Box-1", "")).refusal
    assert (await signature(api, "Box-1", good)).chain_pem


# Signed elsewhere


async def test_a_request_is_signed_elsewhere_and_its_key_never_leaves(
    api: RunningApi, root: tuple[OpensslRoot, Files]
) -> None:
    maker, root_files = root
    wish = {
        "common_name": "csms.garage.example",
        "organisation": ORGANISATION,
        "names": ["csms.garage.example"],
        "key_type": "ec",
    }
    [waiting] = (await post(api, "/csr", wish))["certificates"]
    assert (waiting["state"], waiting["in_service"]) == ("requested", False)
    assert (await certificates(api.bus)).server == ()
    request = await api.client.get(f"/certificates/{waiting['id']}.pem")
    assert request.text == waiting["request"]
    path = f"/certificates/{waiting['id']}/signed"
    wrong = await api.client.post(path, json={"certificate": root_files.certificate})
    assert (wrong.status_code, wrong.json()["problems"][0]["path"]) == (422, "key")
    certificate = maker.sign(request.text, names="DNS:csms.garage.example")
    done = await api.client.post(path, json={"certificate": certificate})
    assert done.status_code == 200
    assert "PRIVATE" not in done.text
    assert (done.json()["state"], done.json()["request"]) == ("valid", None)
    [pair] = (await certificates(api.bus)).server
    assert pair.certificate_pem == certificate
    server_context([pair])
    assert (await api.client.post(path, json={"certificate": certificate})).status_code == 409
    unknown = await api.client.post("/certificates/x/signed", json={"certificate": certificate})
    assert unknown.status_code == 404


# What the site uses


async def test_a_certificate_that_a_backend_is_shown_is_not_removed(api: RunningApi) -> None:
    await post(api, "/authority", AUTHORITY)
    await post(api, "/client", {"name": "billing", "common_name": "garage-1"})
    await api.put_site(**site_showing("billing"))
    refused = await api.client.delete("/certificates/billing")
    assert refused.status_code == 409
    assert "bay/1" in refused.json()["detail"]
    assert refused.json()["problems"][0]["path"] == "evses[bay/1].backend.client_certificate"
    assert [one["used_by"] for one in await listed(api)] == [[], ["bay/1"]]
    assert [pair.certificate_id for pair in (await certificates(api.bus)).client] == ["billing"]
    await api.put_site()
    assert (await api.client.delete("/certificates/billing")).status_code == 204
    assert (await certificates(api.bus)).client == ()


async def test_a_client_certificate_that_is_missing_is_an_alarm_until_it_is_there(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as api:
        await post(api, "/authority", AUTHORITY)
        await api.put_site(**site_showing("billing"))

        async def active() -> list[str]:
            return [one["alarm_id"] for one in (await api.client.get("/alarms")).json()]

        async def is_raised() -> bool:
            return await active() == ["certificate-missing/bay/1"]

        async def is_gone() -> bool:
            return await active() == []

        await eventually(is_raised)
        repeated: list[str] = []

        async def heard(delivery: Delivery[AlarmChanged]) -> None:
            repeated.append(delivery.message.alarm_id)

        await api.bus.listen([AlarmChanged], heard)
        await api.bus.publish(FactsRequested(asker="a late one"))
        await eventually(lambda: repeated == ["certificate-missing/bay/1"])
        await post(api, "/client", {"name": "billing", "common_name": "garage-1"})
        await eventually(is_gone)


async def test_a_client_certificate_for_a_plain_backend_is_warned_of(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        answer = await api.put_site(**site_showing("billing", url="ws://backend.example/"))
    assert answer.status_code == 200
    [warning] = answer.json()["problems"]
    assert warning["path"] == "evses[bay/1].backend.client_certificate"
    assert warning["severity"] == "warning"


# Several replicas


async def test_the_newest_replica_answers_and_another_takes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificate_keeper, "WATCH_EVERY_S", 0.02)
    async with running(tmp_path) as first:
        await post(first, "/authority", AUTHORITY)
        async with running(tmp_path, hub=first.hub) as second:
            await post(second, "/server", SERVER)
            owner = first.hub.owners[Address("service", "certificates")]
            assert (await certificates(first.bus)).revision == 2

        async def taken_over() -> bool:
            try:
                return bool((await certificates(first.bus)).server)
            except Unroutable:
                return False

        await eventually(taken_over)
        assert first.hub.owners[Address("service", "certificates")] is not owner


class BusThatGoesAway:
    """A seat on the bus whose connection a test can cut."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.is_away = False
        self.absence_noticed = False

    @property
    def is_connected(self) -> bool:
        self.absence_noticed = self.absence_noticed or self.is_away
        return not self.is_away

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)


async def test_the_revision_is_told_again_after_the_bus_was_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificate_keeper, "WATCH_EVERY_S", 0.01)
    hub, told = MemoryBus(), []
    database = await open_database(
        f"sqlite+aiosqlite:///{tmp_path / 'api.sqlite3'}", service="api", migrations=MIGRATIONS
    )

    async def heard(delivery: Delivery[CertificatesChanged]) -> None:
        told.append(delivery.message.revision)

    await hub.join("others").listen([CertificatesChanged], heard)
    bus = BusThatGoesAway(hub.join("api"))
    parts = await build_parts(
        ApiSettings(_env_file=None), bus, database=database, clock=SYSTEM_CLOCK
    )
    keeper = CertificateKeeper(bus, parts.certificates, parts.configuration, clock=SYSTEM_CLOCK)
    await keeper.open()
    await eventually(lambda: told == [0])
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(keeper.watch())
        bus.is_away = True
        await eventually(lambda: bus.absence_noticed)
        bus.is_away = False
        await eventually(lambda: told == [0, 0])
        watching.cancel()
    await bus.close()
    await database.close()


async def test_changes_of_two_replicas_at_once_keep_every_certificate(
    tmp_path: Path, database_url: str | None
) -> None:
    url = database_url or f"sqlite+aiosqlite:///{tmp_path / 'api.sqlite3'}"
    databases = [await open_database(url, service="api", migrations=MIGRATIONS) for _ in range(2)]
    now = datetime(2026, 3, 1, tzinfo=UTC)
    root = make_root("Same name", "", key_type=KeyType.EC, days=1, now=now)
    record = record_of(Use.AUTHORITY, root.chain, key=key_pem(root.key), now=now)
    stores = [CertificateStore(database) for database in databases] * 5
    added = await asyncio.gather(*(store.add([record, record]) for store in stores))
    ids = sorted(one.id for some in added for one in some)
    assert len(set(ids)) == 20
    records, revision = await stores[0].all()
    assert (sorted(one.id for one in records), revision) == (ids, 10)
    assert replace(records[0], id="same-name") == record
    assert not await stores[1].complete(record), "it does not wait for a signature"
    assert not await stores[1].remove("nothing")
    for database in databases:
        await database.close()


async def test_nothing_is_logged_of_keys_and_passphrases(
    tmp_path: Path, root: tuple[OpensslRoot, Files], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    body = {
        "use": "authority",
        "certificate": root[1].certificate,
        "key": root[1].key,
        "passphrase": PASSPHRASE,
    }
    async with running(tmp_path) as api:
        assert (await post(api, "", body))["certificates"]
        wrong = await api.client.post("/certificates", json=body | {"passphrase": "falsche"})
        assert (wrong.status_code, "falsche" in wrong.text) == (422, False)
        assert (await certificates(api.bus)).station_trust
    assert "certificates added" in caplog.text
    for secret in (PASSPHRASE, "falsche", "PRIVATE"):
        assert secret not in caplog.text
