"""The whole loop, unchanged, against containers: two OCPP servers behind the balancer."""

import contextlib

import pytest

from tests.compose.containers import InContainers
from tests.compose.project import Project
from tests.e2e.scenario import share_one_fuse

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1500)]


async def test_the_whole_loop_in_containers(deployment: Project) -> None:
    deployment.up(ocpp_server=2)
    containers = InContainers(deployment)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(containers.stop)
        await share_one_fuse(containers)
