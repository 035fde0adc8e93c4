"""The filters of the search, as the site's own pages send them, and which goods they leave."""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from tests.crawler.goofish.generated_market import Good

_PRICES: Final = re.compile(r"(?:priceRange:(?P<lowest>\d{1,8}),(?P<highest>\d{0,8});)?")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a search asks for beside its keyword. Prices are fen, None is any; a division is a province and a city."""

    lowest: int | None
    highest: int | None
    divisions: tuple[tuple[str, str], ...]

    def finds(self, good: Good) -> bool:
        """Whether the search finds a good."""
        fen, area = good.price.fen, good.area or ""
        if self.lowest is not None and not (fen is not None and self.lowest <= fen <= (self.highest or 10**12)):
            return False
        return not self.divisions or any(
            area.startswith(province) and city in area.removeprefix(province) for province, city in self.divisions
        )


def wanted_of(asked: dict[str, Any]) -> Wanted | None:
    """What the data of a search ask for; None if no page of the site would ask so."""
    if set(asked["propValueStr"]) != {"searchFilter"}:
        return None
    prices = _PRICES.fullmatch(asked["propValueStr"]["searchFilter"])
    extra = json.loads(asked["extraFilterValue"])
    compact = json.dumps(extra, ensure_ascii=False, separators=(",", ":"))
    if prices is None or asked["extraFilterValue"] != compact:
        return None
    if extra and (
        list(extra) != ["divisionList", "excludeMultiPlacesSellers", "extraDivision"]
        or (extra["excludeMultiPlacesSellers"], extra["extraDivision"]) != ("0", "")
        or any(list(each) not in (["province"], ["province", "city"]) for each in extra["divisionList"])
    ):
        return None
    lowest, highest = prices.group("lowest", "highest")
    return Wanted(
        None if lowest is None else int(lowest) * 100,
        int(highest) * 100 if highest else None,
        tuple((each["province"], each.get("city", "")) for each in extra.get("divisionList", [])),
    )
