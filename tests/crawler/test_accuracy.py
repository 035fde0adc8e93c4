"""Three thousand listings, and each field of each of them, by a real `python -m crawler`."""

from dataclasses import replace

from tests.crawler.crawls import Operator, expected_listings, found_listings, personal_data
from tests.crawler.goofish.generated_market import Market
from tests.crawler.goofish.process import Site

ITEMS = 3000


def test_every_field_of_three_thousand_listings_is_right(operator: Operator, site: Site) -> None:
    market = site.open(Market(keyword="相机", items=ITEMS))

    run = replace(operator, forked=False).crawl("相机", PAGE_LIMIT="100")

    assert (run.code, run.outcome) == (0, "finished"), run.complaints
    expected, found = expected_listings(market), found_listings(run)
    wrong = [
        (item_id, name, found[item_id][name], value)
        for item_id, fields in expected.items()
        for name, value in fields.items()
        if found[item_id][name] != value
    ]
    assert wrong == []
    assert found == expected
    assert len(found) == ITEMS
    # The market has every kind of price and title.
    assert {fields["price_status"] for fields in expected.values()} == {
        *("ok", "negotiable", "zero", "missing", "unreadable"),
    }
    assert any("[已隐去]" in fields["title"] for fields in expected.values())
    assert any(len(fields["title"]) == 1500 for fields in expected.values())
    assert [batch["listings"] for batch in run.manifest["batches"]] == [200] * 15
    assert personal_data(operator.data, market) == []
