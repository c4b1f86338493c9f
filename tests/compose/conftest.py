"""One engine, one set of images and one running deployment for all tests of this directory."""

import os
from collections.abc import Iterator

import pytest

from tests.compose.engine import Engine, missing_programs
from tests.compose.images import build_parkade, provide_images
from tests.compose.project import Project


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """An engine with the base images and the project's own image in it."""
    if missing := missing_programs():
        pytest.fail(f"tests/compose/install installs what is missing here: {missing}")
    if os.geteuid() != 0:
        pytest.fail("starting an engine takes root")
    engine = Engine()
    try:
        engine.start()
        provide_images(engine)
        build_parkade(engine)
        yield engine
    finally:
        engine.stop()


@pytest.fixture(scope="session")
def deployment(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The compose deployment, up and healthy."""
    project = Project(engine, tmp_path_factory.mktemp("compose"))
    try:
        project.up()
        yield project
    finally:
        project.down()
