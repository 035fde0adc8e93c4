"""Three thousand listings, each field of each of them."""

from tests.crawler.crawls import Operator, seen, traces, truth
from tests.crawler.goofish.generated_market import Market
from tests.crawler.goofish.process import Site

ITEMS = 3000


def test_every_field_of_three_thousand_listings_is_true(operator: Operator, site: Site) -> None:
    market = site.open(Market(keyword="相机", items=ITEMS))

    run = operator.crawl("相机", PAGE_LIMIT="100")

    assert (run.code, run.outcome) == (0, "finished"), run.complaints
    expected, found = truth(market), seen(run)
    wrong = [
        (item_id, name, found[item_id][name], value)
        for item_id, fields in expected.items()
        for name, value in fields.items()
        if found[item_id][name] != value
    ]
    assert wrong == []
    assert found == expected
    assert len(found) == ITEMS
    # The market has all that a site may write.
    assert {fields["price_status"] for fields in expected.values()} == {
        *("ok", "negotiable", "zero", "missing", "unreadable"),
    }
    assert any("[已隐去]" in fields["title"] for fields in expected.values())
    assert any(len(fields["title"]) == 1500 for fields in expected.values())
    assert [batch["listings"] for batch in run.manifest["batches"]] == [200] * 15
    assert traces(operator.data, market) == []
