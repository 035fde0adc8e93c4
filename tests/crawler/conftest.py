"""One stand-in of the site for all tests, and an operator with an empty data folder for each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crawler.crawls import Operator
from tests.crawler.goofish.faults import Robots
from tests.crawler.goofish.process import Site


@pytest.fixture(scope="session")
def running_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The stand-in's process."""
    with Site.start(tmp_path_factory.mktemp("goofish")) as site:
        yield site


@pytest.fixture
def site(running_site: Site) -> Iterator[Site]:
    """The stand-in, whose robots.txt allows everything as long as a test says nothing else."""
    yield running_site
    running_site.robots(Robots.ALLOW)


@pytest.fixture
def operator(site: Site, tmp_path: Path) -> Operator:
    """Somebody who never ran the crawler before."""
    return Operator(site, tmp_path / "data")
