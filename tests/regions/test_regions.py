"""The table of regions, the URL that gives it out, and addresses that it lets be as they are in the world."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.accounts.models import Address
from app.answers import Answer
from app.fields.phones import Place
from app.regions.queries import SOURCE
from app.regions.table import Need, missing_level, parent_code, phone_place, region_table
from config import PROJECT_ROOT
from tests.accounts.steps import all_rows
from tests.factories import assert_envelope, auth_headers, make_address, make_user
from tests.fields.test_pasted import PHONE_EXPECTED

URL = "/api/regions/"
HOME = {"name": "王小明", "mobile": "13800138000", "detail": "人民路 1 号"}


def test_the_table_is_whole() -> None:
    table = region_table()
    assert SOURCE in (PROJECT_ROOT / "app" / "regions" / "regions.tsv").read_text(encoding="utf-8").splitlines()[0]
    assert len(table.provinces) == 34
    assert sum(len(province.children) for province in table.provinces) == 369
    assert sum(len(city.children) for province in table.provinces for city in province.children) == 3479
    assert len(table.by_code) == 34 + 369 + 3479
    for code, region in table.by_code.items():
        assert not parent_code(code) or region in table.by_code[parent_code(code)].children
        assert (region.below is None) is (not region.children)
    optional = {region.name for region in table.by_code.values() if region.below is Need.OPTIONAL}
    assert optional == {
        *("东莞市", "中山市", "儋州市", "嘉峪关市"),
        *("香港特别行政区", "香港岛", "九龙", "新界", "澳门特别行政区", "澳门半岛", "离岛"),
    }


@pytest.mark.parametrize(
    ("province", "city", "district", "missing"),
    [
        ("广东省", "东莞市", "", None),
        ("广东", "东莞", "", None),
        ("广东省", "东莞市", "虎门镇", None),
        ("广东省", "中山市", "", None),
        ("海南省", "儋州市", "", None),
        ("甘肃省", "嘉峪关市", "", None),
        ("海南省", "三沙市", "", ("district", "三沙市须填写区县,如 西沙区、南沙区")),
        ("广东省", "深圳市", "", ("district", "深圳市须填写区县,如 罗湖区、福田区")),
        ("广东", "深圳", "", ("district", "深圳市须填写区县,如 罗湖区、福田区")),
        ("广东省", "深圳市", "某个新区", None),  # the table is a help, not a law
        ("浙江省", "", "", ("city", "浙江省须填写城市,如 杭州市、宁波市")),
        ("北京市", "北京市", "", ("district", "北京市须填写区县,如 东城区、西城区")),
        ("北京", "北京", "朝阳", None),
        ("河南省", "济源市", "", None),  # of the district's level, without a city above it
        ("江苏省", "昆山市", "", None),
        ("湖北省", "恩施州", "", ("district", "恩施土家族苗族自治州须填写区县,如 恩施市、利川市")),
        ("香港特别行政区", "", "", None),
        ("香港", "香港", "", None),
        ("香港特别行政区", "九龙", "油尖旺区", None),
        ("澳门", "澳门半岛", "", None),
        ("台湾省", "台北市", "", ("district", "台北市须填写区县,如 中正区、大同区")),
        ("臺灣", "台北市", "大安區", None),
        ("台湾省", "", "", ("city", "台湾省须填写城市,如 台北市、高雄市")),
        ("台湾省", "嘉义县", "", ("district", "嘉义县须填写区县,如 番路乡、梅山乡")),
        ("香港特別行政區", "", "", None),
        ("中国香港", "", "", None),
        ("中國澳門", "", "", None),
        ("Hong Kong", "", "", None),
        ("HK", "Kowloon", "", None),
        ("廣東省", "東莞市", "", None),
        ("廣東省", "廣州市", "", ("district", "广州市须填写区县,如 荔湾区、越秀区")),
        ("臺灣省", "臺北市", "", ("district", "台北市须填写区县,如 中正区、大同区")),
        ("北京市", "", "朝阳区", ("city", "北京市须填写城市,如 北京市")),
        ("重庆市", "县", "", ("district", "县须填写区县,如 城口县、丰都县")),
        ("吉林省", "", "", ("city", "吉林省须填写城市,如 长春市、吉林市")),
        ("某地", "某城", "", None),  # where the table does not know the place, it asks for nothing
        ("某地", "", "", ("city", "须填写城市")),
    ],
)
def test_what_an_address_needs(province: str, city: str, district: str, missing: tuple[str, str] | None) -> None:
    assert missing_level(province=province, city=city, district=district) == missing


def test_where_a_number_without_a_code_is_dialled() -> None:
    places = {
        "香港特别行政区": Place.HONG_KONG,
        "香港": Place.HONG_KONG,
        "澳門": Place.MACAU,
        "台湾省": Place.TAIWAN,
        "臺灣": Place.TAIWAN,
        "香港特別行政區": Place.HONG_KONG,
        "中国香港": Place.HONG_KONG,
        "ＨＫ": Place.HONG_KONG,
        "Macau": Place.MACAU,
        "中國臺灣省": Place.TAIWAN,
        "中国": Place.MAINLAND,
        "广东省": Place.MAINLAND,
        "某地": Place.MAINLAND,
        "": Place.MAINLAND,
    }
    assert {province: phone_place(province) for province in places} == places


def test_all_regions_at_once_may_be_kept(client: FlaskClient) -> None:
    response = client.get(URL)
    data = assert_envelope(response, Answer.REGIONS_FOUND)
    assert response.headers["Cache-Control"] == "public, max-age=86400"
    assert data["source"] == "@vant/area-data 2.1.0"
    assert [province["name"] for province in data["items"]][:2] == ["北京市", "天津市"]
    guangdong = next(province for province in data["items"] if province["code"] == "440000")
    assert {**guangdong, "children": []} == {
        "code": "440000",
        "name": "广东省",
        "below": "required",
        "calling_code": "+86",
        "children": [],
    }
    shenzhen = next(city for city in guangdong["children"] if city["code"] == "440300")
    assert (shenzhen["below"], shenzhen["children"][2]) == ("required", {"code": "440305", "name": "南山区"})
    codes = {province["code"]: province["calling_code"] for province in data["items"]}
    assert [codes[code] for code in ("710000", "810000", "820000")] == ["+886", "+852", "+853"]
    again = client.get(URL, headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert client.get(f"{URL}?depth=1", headers={"If-None-Match": response.headers["ETag"]}).status_code == 200


def test_some_of_them(client: FlaskClient) -> None:
    provinces = assert_envelope(client.get(f"{URL}?depth=1"), Answer.REGIONS_FOUND)["items"]
    assert len(provinces) == 34
    assert provinces[0] == {"code": "110000", "name": "北京市", "below": "required", "calling_code": "+86"}
    cities = assert_envelope(client.get(f"{URL}?parent=440000&depth=1"), Answer.REGIONS_FOUND)["items"]
    assert {"code": "441900", "name": "东莞市", "below": "optional"} in cities
    assert len(cities) == 21
    districts = assert_envelope(client.get(f"{URL}?parent=440300"), Answer.REGIONS_FOUND)["items"]
    assert districts[0] == {"code": "440303", "name": "罗湖区"}
    assert assert_envelope(client.get(f"{URL}?parent=440305"), Answer.REGIONS_FOUND)["items"] == []
    assert assert_envelope(client.get(f"{URL}?parent=999999"), Answer.NO_SUCH_REGION) is None
    for query, wrong in (("parent=44", "parent"), ("depth=0", "depth"), ("depth=4", "depth"), ("level=1", "level")):
        assert list(assert_envelope(client.get(f"{URL}?{query}"), Answer.MALFORMED)["errors"]) == [wrong]


@pytest.fixture
def headers(app: Flask, clean: None) -> dict[str, str]:
    return auth_headers(app, make_user(app, "alice"))


def add(client: FlaskClient, headers: dict[str, str], **fields: Any) -> Any:
    return client.post("/api/add_address/", json={**HOME, **fields}, headers=headers)


def test_addresses_where_there_are_no_districts(client: FlaskClient, headers: dict[str, str]) -> None:
    for place in (
        {"province": "广东省", "city": "东莞市", "district": ""},
        {"province": "广东省", "city": "中山市"},
        {"province": "海南省", "city": "儋州市", "district": " "},
        {"province": "香港特别行政区"},
        {"province": "香港特別行政區", "mobile": "9876 5432"},
        {"province": "香港特别行政区", "city": "香港", "mobile": "+852 9876 5432"},
    ):
        data = assert_envelope(add(client, headers, **place), Answer.ADDRESS_ADDED)
        assert (data["province"], data["city"], data["district"]) == (place["province"], place.get("city", ""), "")


def test_an_address_that_lacks_its_district_is_refused_with_what_is_expected(
    app: Flask, client: FlaskClient, headers: dict[str, str]
) -> None:
    for district in ({}, {"district": ""}, {"district": "\u200b"}):
        refused = add(client, headers, province="广东省", city="深圳市", **district)
        assert assert_envelope(refused, Answer.MALFORMED) == {
            "errors": {"district": ["深圳市须填写区县,如 罗湖区、福田区"]}
        }
    assert all_rows(app, Address) == []


def test_an_edit_leaves_no_address_that_lacks_something(
    app: Flask, client: FlaskClient, headers: dict[str, str]
) -> None:
    added = add(client, headers, province="广东省", city="东莞市")
    url = f"/api/address/{assert_envelope(added, Answer.ADDRESS_ADDED)['id']}/"
    before = all_rows(app, Address)
    for changes, errors in (
        ({"city": "深圳市"}, {"district": ["深圳市须填写区县,如 罗湖区、福田区"]}),
        ({"city": ""}, {"city": ["广东省须填写城市,如 广州市、韶关市"]}),
    ):
        assert assert_envelope(client.patch(url, json=changes, headers=headers), Answer.MALFORMED) == {"errors": errors}
        assert all_rows(app, Address) == before
    moved = client.patch(url, json={"city": "深圳市", "district": "南山区"}, headers=headers)
    assert assert_envelope(moved, Answer.ADDRESS_EDITED)["district"] == "南山区"


def test_old_free_texts_stay(app: Flask, client: FlaskClient, headers: dict[str, str]) -> None:
    user = make_user(app, "bob")
    old = make_address(app, user, province="粤", city="鹏城", district="")
    url, bob = f"/api/address/{old.id}/", auth_headers(app, user)
    for changes in ({"is_default": True}, {"detail": "人民路 2 号"}, {"mobile": "13900139000"}):
        assert_envelope(client.patch(url, json=changes, headers=bob), Answer.ADDRESS_EDITED)
    stored = assert_envelope(client.get(url, headers=bob), Answer.ADDRESS_FOUND)
    assert (stored["province"], stored["city"], stored["district"]) == ("粤", "鹏城", "")


def test_numbers_of_hong_kong_macau_and_taiwan(app: Flask, client: FlaskClient, headers: dict[str, str]) -> None:
    taipei = {"province": "台湾省", "city": "台北市", "district": "大安区"}
    for place, given, stored in (
        ({"province": "香港特别行政区"}, "+852 9876 5432", "+85298765432"),
        ({"province": "香港特别行政区"}, "9876-5432", "+85298765432"),
        ({"province": "澳门特别行政区"}, "6612 3456", "+85366123456"),
        (taipei, "0912-345-678", "+886912345678"),
        (taipei, "+886 2 2345 6789", "+886223456789"),
        ({"province": "香港"}, "+86 138 0013 8000", "13800138000"),
    ):
        data = assert_envelope(add(client, headers, **place, mobile=given), Answer.ADDRESS_ADDED)
        assert data["mobile"] == stored
    refused = add(client, headers, province="广东省", city="东莞市", mobile="9876 5432")
    assert assert_envelope(refused, Answer.MALFORMED) == {"errors": {"mobile": [PHONE_EXPECTED]}}
    assert len(all_rows(app, Address)) == 6


def test_an_edit_reads_a_number_by_the_place_that_is_there(
    app: Flask, client: FlaskClient, headers: dict[str, str]
) -> None:
    url = f"/api/address/{assert_envelope(add(client, headers, province='香港'), Answer.ADDRESS_ADDED)['id']}/"
    data = assert_envelope(client.patch(url, json={"mobile": "9876 5432"}, headers=headers), Answer.ADDRESS_EDITED)
    assert data["mobile"] == "+85298765432"
    moved = {"province": "台湾省", "city": "台北市", "district": "大安区", "mobile": "0912 345 678"}
    assert assert_envelope(client.patch(url, json=moved, headers=headers), Answer.ADDRESS_EDITED)["mobile"] == (
        "+886912345678"
    )
    before = all_rows(app, Address)
    for number in ("98765432", "03-9295685"):  # in Yilan or in Xingtai: as where the address is added
        refused = client.patch(url, json={"mobile": number}, headers=headers)
        assert assert_envelope(refused, Answer.MALFORMED) == {"errors": {"mobile": [PHONE_EXPECTED]}}
    missing = client.patch("/api/address/999/", json={"mobile": "98765432"}, headers=headers)
    assert assert_envelope(missing, Answer.NO_SUCH_ADDRESS) is None
    assert all_rows(app, Address) == before
