"""Certificates reach a service when they change, and it lives without them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from shared import kept_copy
from shared.bus.memory import MemoryBus
from shared.bus.port import Bus
from shared.certificate_client import CertificateClient
from shared.contracts.certificate import (
    CertificatesAnswer,
    CertificatesChanged,
    GetCertificates,
    KeyPair,
)
from shared.contracts.message import service_address
from tests.conditions import eventually

PAIR = KeyPair(certificate_id="backend", certificate_pem="certificate", key_pem="secret key")


@dataclass
class Api:
    """Who answers, once ``opened``."""

    bus: Bus
    answer: CertificatesAnswer
    asked: int = 0

    async def open(self) -> None:
        async def nobody(_address: Any, _epoch: int) -> None:
            return None

        async def give(_: Any) -> CertificatesAnswer:
            self.asked += 1
            return self.answer

        inbox = await self.bus.inbox(nobody)
        inbox.on(GetCertificates, give)
        await inbox.own(service_address("certificates"), 1)

    async def change(self, answer: CertificatesAnswer) -> None:
        self.answer = answer
        await self.bus.publish(CertificatesChanged(revision=answer.revision))


@asynccontextmanager
async def a_client() -> AsyncIterator[tuple[Api, CertificateClient]]:
    hub = MemoryBus()
    api = Api(hub.join("api"), CertificatesAnswer(revision=3, client=(PAIR,)))
    async with CertificateClient(hub.join("gateway")) as client:
        yield api, client
    await api.bus.close()


async def test_the_first_answer_is_waited_for() -> None:
    hub = MemoryBus()
    api = Api(hub.join("api"), CertificatesAnswer(revision=3, client=(PAIR,)))
    await api.open()
    async with CertificateClient(hub.join("gateway")) as client:
        assert await client.first(within_s=10) == api.answer
        assert client.client_pair("backend") == PAIR
        assert client.client_pair("another") is None


async def test_where_nobody_answers_nothing_is_stored() -> None:
    async with a_client() as (_, client):
        assert await client.first(within_s=0.01) == CertificatesAnswer(revision=0)
        assert client.client_pair("backend") is None


async def test_an_api_that_comes_later_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_copy, "FIRST_ASK_S", 0.01)
    heard: list[CertificatesAnswer] = []
    async with a_client() as (api, client):
        client.on_change(heard.append)
        await client.first(within_s=0.02)
        await api.open()
        await eventually(lambda: heard == [api.answer])


async def test_a_change_is_asked_for_at_once_and_told_once() -> None:
    heard: list[CertificatesAnswer] = []
    async with a_client() as (api, client):
        await api.open()
        await client.first(within_s=10)
        client.on_change(heard.append)
        await api.change(CertificatesAnswer(revision=4))
        await eventually(lambda: heard == [CertificatesAnswer(revision=4)])
        asked = api.asked
        await api.change(api.answer)
        await eventually(lambda: api.asked > asked, claim="asked again")
        assert heard == [CertificatesAnswer(revision=4)]


async def test_a_restored_database_counts_although_its_revision_is_lower() -> None:
    async with a_client() as (api, client):
        await api.open()
        await client.first(within_s=10)
        await api.change(CertificatesAnswer(revision=1))
        await eventually(lambda: client.current.revision == 1)


async def test_no_key_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with a_client() as (api, client):
        await api.open()
        await client.first(within_s=10)
        await asyncio.sleep(0)
    assert "certificates revision 3" in caplog.text
    assert "secret key" not in caplog.text
    assert "secret key" not in repr(api.answer)
