"""Operations name the setting that limits their rate; a name that is none does not get as far as a request."""

import pytest

from app.factory import APIS
from app.web.api import Api
from config import RATE_LIMITS


def test_every_rate_limit_limits_something() -> None:
    assert {each.limit for api in APIS for each in api.operations} - {None} == set(RATE_LIMITS)


@pytest.mark.parametrize("name", ["rate_limit_everything", "rate_limits_enabled", "port"])
def test_a_name_that_is_no_rate_limit_is_an_error_at_registration(name: str) -> None:
    api = Api("things", __name__, tag="东西", about="whatever there is")
    with pytest.raises(ValueError, match=f"^no rate limit is called '{name}'; there are rate_limit_register, "):

        @api.get("/things/", limit=name)
        def list_things() -> None:
            """List things."""

    assert api.deferred_functions == []
