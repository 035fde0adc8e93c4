"""The state: request budget, cool-downs, known listings, walks; files that are no state are left unchanged."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from xianyu.errors import ConfigurationError
from xianyu.outcomes import Outcome
from xianyu.state import APPLICATION_ID, LONGEST_COOLDOWN, KnownListing, ListingRecord, State

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite3"


@pytest.fixture
def state(path: Path) -> Iterator[State]:
    found = State(path)
    yield found
    found.close()


def entry(item_id: str, fingerprint: bytes = b"12345678", emitted_at: datetime = NOW) -> ListingRecord:
    return ListingRecord(item_id, fingerprint, emitted_at)


def reopened(path: Path, closed: State) -> State:
    closed.close()
    return State(path)


def test_the_budget_is_counted_by_dates_in_china_over_all_runs(path: Path, state: State) -> None:
    evening = datetime(2026, 11, 22, 15, 59, 59, tzinfo=UTC)  # 23:59:59 there
    assert [state.count_request(evening, budget=2) for _ in range(3)] == [True, True, False]
    assert (state.requests_of_day(evening), state.requests_counted) == (2, 2)
    again = reopened(path, state)
    assert again.count_request(evening, budget=2) is False
    assert again.requests_counted == 0
    midnight = evening + timedelta(seconds=1)
    assert again.count_request(midnight, budget=2) is True
    assert (again.requests_of_day(evening), again.requests_of_day(midnight)) == (2, 1)
    assert again.count_request(evening + timedelta(days=40), budget=1) is True
    assert again.requests_of_day(midnight) == 0  # counts so old are deleted
    again.close()


def test_a_budget_of_zero_allows_no_request(state: State) -> None:
    assert state.count_request(NOW, budget=0) is False
    assert state.requests_of_day(NOW) == 0


def test_a_request_counted_by_one_connection_is_seen_by_another(path: Path, state: State) -> None:
    other = State(path)
    assert state.count_request(NOW, budget=1) is True
    assert other.count_request(NOW, budget=1) is False
    other.close()


@pytest.mark.parametrize(
    ("outcome", "hours"),
    [(Outcome.BLOCKED, 6), (Outcome.LOGIN, 6), (Outcome.UNKNOWN_ANSWER, 6), (Outcome.LIMITED, 1)],
)
def test_each_further_block_doubles_the_cooldown(path: Path, state: State, outcome: Outcome, hours: int) -> None:
    assert state.active_cooldown(NOW) is None
    now = NOW
    waits = []
    for _ in range(9):
        found = state.start_cooldown(now, outcome, "why")
        waits.append(found.until - now)
        now = found.until
    second = timedelta(seconds=1)  # rounded up, never down
    expected = [min(timedelta(hours=hours * 2**n), LONGEST_COOLDOWN) + second for n in range(9)]
    assert waits == expected
    assert state.active_cooldown(now) is None
    state = reopened(path, state)
    last = state.active_cooldown(now - second)
    assert last is not None
    assert (last.until, last.outcome, last.detail, last.blocks) == (now, outcome, "why", 9)
    assert state.clear_cooldown() is True
    assert state.active_cooldown(now - second) is None
    assert state.clear_cooldown() is False
    assert state.start_cooldown(now, outcome, "why").until == now + timedelta(hours=hours) + second
    state.close()


def test_the_site_may_ask_for_a_longer_cooldown_and_nothing_shortens_it(state: State) -> None:
    asked = timedelta(days=10)
    first = state.start_cooldown(NOW, Outcome.LIMITED, "HTTP 429", at_least=asked)
    assert first.until == NOW + asked + timedelta(seconds=1)
    second = state.start_cooldown(NOW, Outcome.LIMITED, "HTTP 429", at_least=timedelta(seconds=5))
    assert second.until >= first.until


def test_a_listing_is_known_once_its_batch_is_finished(path: Path, state: State) -> None:
    state.add_pending("1")
    state.add_pending("2")
    assert state.known_listings(["1", "2"]) == {}
    state.commit_batch([entry("1"), entry("2", b"abcdefgh")])
    expected = {"1": KnownListing(b"12345678", NOW, 1), "2": KnownListing(b"abcdefgh", NOW, 2)}
    assert state.known_listings(["1", "2", "3"]) == expected
    assert state.known_listing("3") is None
    state = reopened(path, state)
    assert state.known_listings(("1", "2", "3")) == expected
    assert state.known_listings([]) == {}
    assert state.known_listing("2") == expected["2"]
    state.close()


def test_a_newer_version_replaces_an_older_one_and_keeps_the_first_place(state: State) -> None:
    state.add_pending("1")
    state.commit_batch([entry("1")])
    later = NOW + timedelta(days=1)
    state.add_pending("1")
    state.commit_batch([entry("1", b"new.....", later)])
    assert state.known_listings(["1"]) == {"1": KnownListing(b"new.....", later, 1)}
    state.commit_batch([entry("1", b"old.....", NOW)])
    assert state.known_listings(["1"]) == {"1": KnownListing(b"new.....", later, 1)}


def test_a_walk_is_complete_when_its_listings_are_in_finished_batches(path: Path, state: State) -> None:
    assert state.begin_walk("相机") is True
    state.add_pending("1")
    state.add_pending("2")
    state.end_walk("相机", "2026-11-22T10:00:00Z", 3)
    state.add_pending("3")  # of the next keyword
    state.commit_batch([entry("1")])
    other = State(path)
    assert other.begin_walk("相机") is True  # or else item 2 would be lost
    other.close()
    state.commit_batch([entry("2")])
    state = reopened(path, state)
    assert state.begin_walk("相机") is False
    assert state.covers_page("相机", ["1", "2"]) is True
    assert state.covers_page("相机", ["1", "2", "3"]) is False
    state.close()


def test_a_walk_without_new_listings_is_complete_at_once(path: Path, state: State) -> None:
    state.begin_walk("相机")
    state.end_walk("相机", None, 1)
    state = reopened(path, state)
    assert state.begin_walk("相机") is False
    assert state.covers_page("相机", []) is False
    state.close()


def test_after_an_incomplete_walk_no_page_is_covered(path: Path, state: State) -> None:
    state.begin_walk("相机")
    state.add_pending("1")
    state.end_walk("相机", None, 1)
    state.commit_batch([entry("1")])
    assert state.begin_walk("相机") is False
    assert state.covers_page("相机", ["1"]) is True
    state = reopened(path, state)  # the walk has not ended
    assert state.begin_walk("相机") is True
    assert state.covers_page("相机", ["1"]) is False
    state.close()


def test_listings_found_since_with_another_keyword_do_not_cover_a_page(path: Path, state: State) -> None:
    """手机 finds item 9 after the walk of 苹果. After a page with only 9, new items of 苹果 may follow."""
    for keyword, item_id in (("苹果", "1"), ("手机", "9")):
        state.begin_walk(keyword)
        state.add_pending(item_id)
        state.end_walk(keyword, None, 1)
    state.commit_batch([entry("1"), entry("9")])
    state = reopened(path, state)
    state.begin_walk("苹果")
    state.begin_walk("手机")
    assert [state.covers_page("苹果", [item_id]) for item_id in "19"] == [True, False]
    assert [state.covers_page("手机", [item_id]) for item_id in "19"] == [True, True]
    state.add_pending("5")  # its place is after the end of both walks
    state.commit_batch([entry("5")])
    assert state.covers_page("手机", ["5"]) is False
    state.close()


def test_the_listings_of_a_killed_run_get_places_of_their_own(path: Path, state: State) -> None:
    state.commit_batch([entry("1"), entry("2")])
    assert [known.first_place for known in state.known_listings(["1", "2"]).values()] == [1, 2]
    state.add_pending("3")
    state.commit_batch([entry("3")])
    assert state.known_listings(["3"])["3"].first_place == 3


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"not a database at all, but long enough to be read as a header " * 20, "file is not a database"),
        (b"SQLite format 3\0" + bytes(100), "file is not a database"),
    ],
)
def test_a_file_that_is_no_database_is_left_unchanged(path: Path, content: bytes, why: str) -> None:
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=why):
        State(path)
    assert path.read_bytes() == content
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_another_programs_database_is_left_unchanged(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE theirs (a)")
    database.close()
    content = path.read_bytes()
    with pytest.raises(ConfigurationError, match="it is not a state of this crawler"):
        State(path)
    assert path.read_bytes() == content


def test_the_state_of_a_newer_version_is_refused(path: Path, state: State) -> None:
    state.close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(ConfigurationError, match="its version is 99; this crawler knows up to 1"):
        State(path)


def test_a_damaged_file_is_detected(path: Path, state: State) -> None:
    state.commit_batch([entry(str(number), b"x" * 200) for number in range(500)])
    state.close()
    content = bytearray(path.read_bytes())
    content[-8192:] = b"\xff" * 8192
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"cannot be used \(it is damaged: .*\); it was left as it is"):
        State(path)
    assert path.read_bytes() == bytes(content)


def test_an_empty_file_becomes_a_state(path: Path) -> None:
    path.touch()
    State(path).close()
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()


def test_a_file_without_tables_after_a_kill_becomes_a_state(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = WAL")  # writes the file's first page
    database.close()
    assert path.stat().st_size > 0
    found = State(path)
    found.commit_batch([entry("1")])
    assert list(found.known_listings(["1"])) == ["1"]
    found.close()


def test_of_a_listing_only_id_digest_and_time_are_kept(path: Path, state: State) -> None:
    state.close()
    with sqlite3.connect(path) as database:
        columns = {
            table: [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            for table in ("listings", "walks")
        }
    database.close()
    assert columns == {
        "listings": ["item_id", "fingerprint", "emitted_at", "first_place"],
        "walks": ["keyword", "complete", "place", "watermark", "pages"],
    }


# A clock that was ahead


def test_listings_that_a_clock_dated_ahead_are_due_again(state: State) -> None:
    """Such a listing counted as unchanged until the day on which the clock had stood."""
    state.commit_batch(
        [
            ListingRecord("1", b"a", NOW + timedelta(days=400)),
            ListingRecord("2", b"b", NOW),
        ]
    )
    state.forget_times_after(NOW)
    found = state.known_listings(["1", "2"])
    assert (found["1"].emitted_at, found["1"].fingerprint) == (datetime(1970, 1, 1, tzinfo=UTC), b"a")
    assert found["2"].emitted_at == NOW
    state.commit_batch([ListingRecord("1", b"c", NOW + timedelta(hours=1))])
    assert state.known_listings(["1"])["1"].emitted_at == NOW + timedelta(hours=1)


def test_a_wait_that_a_clock_dated_ahead_begins_anew(state: State) -> None:
    ahead = NOW + timedelta(days=400)
    state.start_cooldown(ahead, Outcome.LIMITED, "HTTP 429")
    state.start_cooldown(ahead, Outcome.LIMITED, "HTTP 429")
    state.forget_times_after(NOW)
    found = state.active_cooldown(NOW)
    assert found is not None
    assert (found.until, found.outcome, found.blocks) == (NOW + timedelta(hours=2), Outcome.LIMITED, 2)
    state.forget_times_after(NOW)
    assert state.active_cooldown(NOW) == found


def test_the_longest_wait_that_there_is_stays(state: State) -> None:
    until = state.start_cooldown(NOW, Outcome.LIMITED, "HTTP 429", at_least=timedelta(days=30)).until
    state.forget_times_after(NOW)
    found = state.active_cooldown(NOW)
    assert found is not None
    assert found.until == until
