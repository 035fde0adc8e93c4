"""Every page and form of the back office is asked for by each role, and by nobody."""

import re
from collections.abc import Iterator

import pytest
from flask import Flask

from app.office.views import office
from app.staff_roles import PERMISSIONS, StaffRole
from tests.applications import empty_stores
from tests.office.roles import FILES, OPEN, PAGES, ROLES
from tests.office.steps import Person, csrf_of, log_in

# What each form needs beside its token, so that a refusal is one of the role and of nothing else.
_NO_SUCH = 999


@pytest.fixture(scope="module")
def people(app: Flask) -> Iterator[dict[str, Person]]:
    """Somebody of each role, logged in."""
    empty_stores(app)
    yield {role: log_in(app, StaffRole(role)) for role in ROLES}
    empty_stores(app)


def test_the_table_has_every_page(app: Flask) -> None:
    registered = {(page.method, page.rule) for page in office.pages}
    assert registered == set(PAGES) | OPEN
    routed = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/admin/")
    }
    assert routed == registered | FILES
    assert {(page.method, page.rule) for page in office.pages if page.permission is None} == OPEN


@pytest.mark.parametrize("role", ROLES)
def test_each_page_for_each_role(app: Flask, people: dict[str, Person], role: str) -> None:
    person = people[role]
    csrf = csrf_of(person.browser.get("/admin/"))
    for (method, rule), answers in PAGES.items():
        url = re.sub("<id:[a-z_]+>", str(_NO_SUCH), rule)
        data = {"csrf": csrf, "reason": "核对"} if method == "POST" else None
        answer = person.browser.open(url, method=method, data=data)
        if answers[role] == "no":
            assert answer.status_code == 403, (role, method, rule)
            assert "你的角色不能打开这一页" in answer.text
        else:
            # What is wanted of a form, or what the URL names, may be missing; but it was let in.
            assert answer.status_code in (200, 303, 404, 409, 422), (role, method, rule, answer.status_code)


def test_nobody_is_let_in_without_a_session(app: Flask, people: dict[str, Person]) -> None:
    browser = app.test_client()
    csrf = csrf_of(browser.get("/admin/login/"))
    for method, rule in PAGES:
        url = re.sub("<id:[a-z_]+>", str(_NO_SUCH), rule)
        answer = browser.open(url, method=method, data={"csrf": csrf} if method == "POST" else None)
        assert (answer.status_code, answer.location.partition("?")[0]) == (303, "/admin/login/"), (method, rule)


@pytest.mark.parametrize("role", ROLES)
def test_the_menu_has_what_the_role_may_open(people: dict[str, Person], role: str) -> None:
    menu = re.findall(r'<a href="(/admin/[^"]*)" data-key', people[role].browser.get("/admin/").text)
    lists = [rule for method, rule in PAGES if method == "GET" and "<" not in rule]
    assert sorted(menu) == sorted(rule for rule in lists if PAGES["GET", rule][role] == "yes")


def test_roles_and_permissions() -> None:
    """Only an admin sees who is of staff; and he may do all that there is."""
    assert set.union(*(set(PERMISSIONS[role]) for role in StaffRole)) == set(PERMISSIONS[StaffRole.ADMIN])
    others = set.union(*(set(PERMISSIONS[role]) for role in StaffRole if role is not StaffRole.ADMIN))
    assert {each.value for each in PERMISSIONS[StaffRole.ADMIN] - others} == {"members"}
