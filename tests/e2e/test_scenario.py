"""One scenario, unchanged against the memory bus in one process and against RabbitMQ."""

import pytest

from tests.e2e.deployment import Deployment
from tests.e2e.scenario import share_one_fuse


@pytest.mark.timeout(420)
async def test_the_whole_loop(deployment: Deployment) -> None:
    await share_one_fuse(deployment)
