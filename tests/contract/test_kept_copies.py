"""Every service's copies of the site and of the certificates, on both buses."""

from typing import Any

import pytest

from shared import kept_copy
from shared.bus.port import Bus
from shared.certificate_client import CertificateClient
from shared.contracts.certificate import CertificatesAnswer, CertificatesChanged, GetCertificates
from shared.contracts.message import Reply, Request, service_address
from shared.contracts.site import GetSite, SiteAnswer, SiteChanged, SiteConfig
from shared.site_client import SiteClient
from tests.conditions import eventually
from tests.contract.conftest import World
from tests.contract_facts import Evictions


async def answer(bus: Bus, name: str, question: type[Request[Any]], given: list[Reply]) -> None:
    """Answer a question with the last of what is given."""

    async def give(_: Any) -> Reply:
        return given[-1]

    inbox = await bus.inbox(Evictions())
    inbox.on(question, give)
    await inbox.own(service_address(name), 1)


async def test_the_site_is_asked_for_until_somebody_answers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_copy, "FIRST_ASK_S", 0.01)
    api, loadmgr = await world.join("api"), await world.join("loadmgr")
    async with SiteClient(loadmgr) as site:
        with pytest.raises(LookupError):
            site.current  # noqa: B018 - asking is what is tested
        await answer(api, "site", GetSite, [SiteAnswer(site=SiteConfig(revision=3))])
        assert (await site.first()).revision == 3


async def test_a_site_that_is_told_counts_without_an_answer_if_it_is_newer(world: World) -> None:
    api, loadmgr = await world.join("api"), await world.join("loadmgr")
    told: list[int] = []
    async with SiteClient(loadmgr) as site:
        site.on_change(lambda new: told.append(new.revision))
        for revision in (5, 4, 5, 6):
            await api.publish(SiteChanged(site=SiteConfig(revision=revision)))
        await eventually(lambda: site._copy.answer and site.current.revision == 6)
    assert told == [5, 6]


async def test_a_client_that_has_left_hears_nothing_more(world: World) -> None:
    api, loadmgr = await world.join("api"), await world.join("loadmgr")
    heard: list[int] = []
    async with SiteClient(loadmgr) as left, SiteClient(loadmgr) as stays:
        left.on_change(lambda new: heard.append(new.revision))
        await left.__aexit__(None, None, None)
        await api.publish(SiteChanged(site=SiteConfig(revision=1)))
        assert (await stays.first()).revision == 1
    assert heard == []


async def test_certificates_are_asked_for_again_after_a_change(world: World) -> None:
    api, gateway = await world.join("api"), await world.join("gateway")
    given: list[Reply] = [CertificatesAnswer(revision=3)]
    await answer(api, "certificates", GetCertificates, given)
    async with CertificateClient(gateway) as certificates:
        assert (await certificates.first(within_s=10)).revision == 3
        given.append(CertificatesAnswer(revision=1))
        await api.publish(CertificatesChanged(revision=1))
        await eventually(lambda: certificates.current.revision == 1, claim="the lower one counts")
