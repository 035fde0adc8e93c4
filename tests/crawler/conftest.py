"""A fake of the site for all tests; for each test an operator with an empty data folder, and the parts of a run."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from xianyu.run_folder import RunFolder
from xianyu.state import State

from tests.crawler.crawls import Operator
from tests.crawler.factories import NOW, RUN_ID
from tests.crawler.goofish.faults import Robots
from tests.crawler.goofish.process import Site


@pytest.fixture(scope="session")
def running_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The process of the fake site."""
    with Site.start(tmp_path_factory.mktemp("goofish")) as site:
        yield site


@pytest.fixture
def site(running_site: Site) -> Iterator[Site]:
    """The fake site. Its robots.txt allows everything until the test changes that."""
    yield running_site
    running_site.robots(Robots.ALLOW)


@pytest.fixture
def operator(site: Site, tmp_path: Path) -> Operator:
    """An operator who has never run the crawler before."""
    return Operator(site, tmp_path / "data")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """An empty state."""
    found = State(tmp_path / "state.sqlite3")
    yield found
    found.close()


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """An empty folder for runs."""
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def run_folder(runs: Path, state: State) -> RunFolder:
    """The folder in `runs` of a run that has just begun."""
    return RunFolder(runs, run_id=RUN_ID, spider="xianyu_file", now=NOW, state=state)
