"""Settings: what production refuses, what is malformed, in exact words; and that nobody else reads the environment."""

import ast
import dataclasses
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from config import (
    PROJECT_ROOT,
    Environment,
    Settings,
    SettingsError,
    load_settings,
    load_settings_without_stores,
    settings_table,
    variable_of,
)
from statemachine import ORDER
from tests.live import free_port

STORES = {
    "SALTFISH_ENV": "development",
    "DATABASE_URL": "postgresql+psycopg://db/saltfish",
    "REDIS_URL": "redis://valkey/0",
}
ENVIRONMENT_UNSET = (
    "SALTFISH_ENV: is not set; say production, or development on a machine of your own (`make run` does)"
)
PRODUCTION = {
    **STORES,
    "SALTFISH_ENV": "production",
    "JWT_SECRET_KEY": "k" * 32,
    "ALIPAY_APP_ID": "2021000000000002",
    "ALIPAY_SELLER_ID": "2088000000000002",
    "ALIPAY_APP_PRIVATE_KEY_PATH": "/keys/app_private.pem",
    "ALIPAY_PUBLIC_KEY_PATH": "/keys/gateway_public.pem",
    "ALIPAY_GATEWAY_URL": "https://openapi.alipay.com/gateway.do",
    "PUBLIC_URL": "https://saltfish.example/",
}

# What production says about each variable that it needs, in the order in which it says it.
REQUIRED = {
    "DATABASE_URL": "DATABASE_URL: is required in production"
    " (PostgreSQL, as a SQLAlchemy URL; unset: `make run` starts its own)",
    "REDIS_URL": "REDIS_URL: is required in production (Valkey or Redis; unset: `make run` starts its own)",
    "JWT_SECRET_KEY": "JWT_SECRET_KEY: is required in production"
    " (signs access and refresh tokens; at least 32 characters; unset: a random one, kept in `INSTANCE_PATH`)",
    "ALIPAY_APP_ID": "ALIPAY_APP_ID: is required in production (our app id at the gateway)",
    "ALIPAY_SELLER_ID": "ALIPAY_SELLER_ID: is required in production (our merchant (seller) id at the gateway)",
    "ALIPAY_APP_PRIVATE_KEY_PATH": "ALIPAY_APP_PRIVATE_KEY_PATH: is required in production"
    " (file of our private key, PEM or one line of base64)",
    "ALIPAY_PUBLIC_KEY_PATH": "ALIPAY_PUBLIC_KEY_PATH: is required in production"
    " (file of the gateway's public key, PEM or one line of base64, or of its certificate)",
    "ALIPAY_GATEWAY_URL": "ALIPAY_GATEWAY_URL: is required in production (the sandbox is for development)",
    "PUBLIC_URL": "PUBLIC_URL: is required in production (the gateway sends its notifications there)",
}
CONVENIENCES = {
    "SQL_COUNT_HEADER": "SQL_COUNT_HEADER: is refused in production",
    "CAPTCHA_REVEAL": "CAPTCHA_REVEAL: is refused in production",
}
STORES_UNSET = [
    "DATABASE_URL: is not set; `make run` and `make test` start a server of their own and set it",
    "REDIS_URL: is not set; `make run` and `make test` start a server of their own and set it",
]
NOT_BOOLEAN = "must be one of 1/0, true/false, yes/no, on/off"


def problems(environ: dict[str, str]) -> list[str]:
    """What is wrong with these variables."""
    with pytest.raises(SettingsError) as caught:
        load_settings(environ)
    return caught.value.problems


def of_type(name: str) -> list[str]:
    """The variables whose settings are annotated so."""
    return [variable_of(each) for each in dataclasses.fields(Settings) if each.type == name]


# Production


def test_production_starts_with_what_it_requires() -> None:
    settings = load_settings(PRODUCTION)
    assert settings.environment is Environment.PRODUCTION
    assert settings.is_production
    assert settings.base_url == "https://saltfish.example"
    assert settings.gateway_url == "https://openapi.alipay.com/gateway.do"
    assert settings.alipay_app_private_key_path == Path("/keys/app_private.pem")
    assert (settings.captcha_reveal, settings.sql_count_header) == (False, False)


@pytest.mark.parametrize("blank", [False, True], ids=["missing", "empty"])
@pytest.mark.parametrize("variable", REQUIRED)
def test_production_names_what_is_missing(variable: str, blank: bool) -> None:
    rest = {name: value for name, value in PRODUCTION.items() if name != variable}
    assert problems(rest | ({variable: ""} if blank else {})) == [REQUIRED[variable]]


def test_production_names_everything_that_is_missing_at_once() -> None:
    assert problems({"SALTFISH_ENV": "production"}) == list(REQUIRED.values())


@pytest.mark.parametrize("word", ["1", "true", "YES", " on "])
@pytest.mark.parametrize("variable", CONVENIENCES)
def test_production_refuses_the_conveniences_of_development(variable: str, word: str) -> None:
    assert problems(PRODUCTION | {variable: word}) == [CONVENIENCES[variable]]
    assert load_settings(PRODUCTION | {variable: "0"}).is_production
    assert not load_settings(STORES | {variable: word}).is_production


def test_production_tells_all_its_reasons_at_once() -> None:
    environ = {"SALTFISH_ENV": "production", "JWT_SECRET_KEY": "short", "CAPTCHA_REVEAL": "1", "SQL_COUNT_HEADER": "1"}
    *secrets, gateway, public = (text for variable, text in REQUIRED.items() if variable != "JWT_SECRET_KEY")
    expected = [*secrets, *CONVENIENCES.values(), gateway, public, "JWT_SECRET_KEY: must have at least 32 characters"]
    assert problems(environ) == expected


def test_a_production_process_does_not_start_without_its_secrets() -> None:
    environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    ended = subprocess.run(
        [sys.executable, "-c", "import wsgi"],
        cwd=PROJECT_ROOT,
        env=environ | {"SALTFISH_ENV": "production", "DATABASE_URL": STORES["DATABASE_URL"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    told = ended.stderr.partition("invalid settings:\n")[2].splitlines()
    assert told == [f"  {text}" for variable, text in REQUIRED.items() if variable != "DATABASE_URL"]


# Not for the operator of containers to say.
OF_THE_CONTAINERS = {
    *("HOST", "PORT", "INSTANCE_PATH", "SEARCH_INDEX_PATH"),  # the image says where it listens and what it mounts
    "WEB_WORKERS",  # of `web` alone
    "WEB_HEARTBEAT_PATH",  # nobody looks there
    *("GATEWAY_HOST", "GATEWAY_PORT"),  # of `gateway` alone
    *CONVENIENCES,
}


def test_the_containers_take_every_setting() -> None:
    services = yaml.safe_load((PROJECT_ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    settable = [variable_of(each) for each in dataclasses.fields(Settings)]
    wanted = set(settable) - OF_THE_CONTAINERS
    for name in ("migrate", "web", "relay", "worker", "search", "vision", "scheduler", "backup"):
        given = services[name]["environment"]
        assert wanted - given.keys() == set(), name
        fixed = {variable for variable in wanted if f"${{{variable}:" not in given[variable]}
        assert fixed == {
            *("SALTFISH_ENV", "DATABASE_URL", "REDIS_URL"),
            *("ALIPAY_APP_PRIVATE_KEY_PATH", "ALIPAY_PUBLIC_KEY_PATH"),
        }


def test_a_backup_in_containers_has_where_to_go_and_finds_an_empty_database() -> None:
    compose = yaml.safe_load((PROJECT_ROOT / "docker-compose.yml").read_text("utf-8"))
    backup = compose["services"]["backup"]
    assert "${BACKUPS:-backups}:/backups" in backup["volumes"]
    assert "backups" in compose["volumes"]
    assert "/backups" in (PROJECT_ROOT / "Dockerfile").read_text("utf-8")
    assert backup["entrypoint"] == "python -m flask --app wsgi"
    assert backup["profiles"] == ["backup"]
    assert set(backup["depends_on"]) == {"postgres", "valkey", "keys"}
    assert backup["depends_on"]["keys"]["required"] is False


# Everywhere


@pytest.mark.parametrize("environment", ["development", "testing"])
def test_elsewhere_only_the_stores_are_needed(environment: str) -> None:
    assert problems({"SALTFISH_ENV": environment}) == STORES_UNSET
    assert problems({"SALTFISH_ENV": environment, "DATABASE_URL": STORES["DATABASE_URL"]}) == STORES_UNSET[1:]
    assert load_settings(STORES | {"SALTFISH_ENV": environment}).environment == environment


@pytest.mark.parametrize("environ", [{}, {"DATABASE_URL": ""}, {"OUTBOX_LEASE": "999"}])
def test_what_opens_no_connection_needs_no_variable(environ: dict[str, str]) -> None:
    settings = load_settings_without_stores(environ)
    assert settings.environment is Environment.DEVELOPMENT
    assert (settings.database_url, settings.redis_url) == (
        "postgresql+psycopg://none.invalid/none",
        "redis://none.invalid/0",
    )
    assert settings.signing_key != load_settings_without_stores(environ).signing_key
    assert load_settings_without_stores(PRODUCTION) == load_settings(PRODUCTION)
    with pytest.raises(SettingsError, match="JWT_SECRET_KEY: is required in production"):
        load_settings_without_stores({"SALTFISH_ENV": "production"})


@pytest.mark.parametrize("blank", [False, True], ids=["missing", "empty"])
def test_what_this_is_has_to_be_said(blank: bool) -> None:
    unset = {"SALTFISH_ENV": ""} if blank else {}
    rest = {name: value for name, value in STORES.items() if name != "SALTFISH_ENV"}
    assert problems(rest | unset) == [ENVIRONMENT_UNSET]
    assert problems(unset) == [ENVIRONMENT_UNSET, *STORES_UNSET]
    rest = {name: value for name, value in PRODUCTION.items() if name != "SALTFISH_ENV"}
    assert problems(rest | unset) == [ENVIRONMENT_UNSET]


STARTS = {
    "web": ["granian", "--interface", "wsgi", "--no-ws", "--host", "0.0.0.0", "--port", "{port}", "wsgi:app"],
    "our own server": ["app.web.server"],
    "commands": ["flask", "--app", "wsgi", "db", "current"],
    "relay": ["tasks.relay"],
    "worker": ["tasks.worker", "default"],
    "scheduler": ["tasks.scheduler"],
}


@pytest.mark.parametrize("command", STARTS.values(), ids=STARTS)
def test_no_process_starts_before_that_is_said(command: list[str]) -> None:
    environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    stores = {name: STORES[name] for name in ("DATABASE_URL", "REDIS_URL")}
    port = free_port()
    ended = subprocess.run(
        [sys.executable, "-m", *(word.format(port=port) for word in command)],
        cwd=PROJECT_ROOT,
        env=environ | stores | {"HOST": "0.0.0.0", "PORT": str(port)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    assert ENVIRONMENT_UNSET in ended.stderr + ended.stdout
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()


def test_the_key_of_an_instance_is_random_kept_and_its_owners(tmp_path: Path) -> None:
    def key(instance: Path, **more: str) -> str:
        return load_settings(STORES | {"INSTANCE_PATH": str(instance)} | more).signing_key

    here, there = tmp_path / "here", tmp_path / "there"
    first = key(here)
    path = here / "keys" / "jwt_secret_key"
    assert (len(first), path.read_text()) == (64, first)
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent)] == [0o600, 0o700]
    assert [each.name for each in path.parent.iterdir()] == ["jwt_secret_key"]
    # Another process reads what this one has written.
    code = "from config import load_settings; print(load_settings().signing_key)"
    environ = os.environ | STORES | {"INSTANCE_PATH": str(here)}
    command = [sys.executable, "-c", code]
    read = subprocess.run(
        command, cwd=PROJECT_ROOT, env=environ, capture_output=True, text=True, check=True, timeout=60
    )
    assert read.stdout.strip() == first
    assert key(there) not in ("", first)
    assert key(tmp_path / "elsewhere", JWT_SECRET_KEY="k" * 32) == "k" * 32
    assert not (tmp_path / "elsewhere").exists()


def test_a_key_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a file")
    settings = load_settings(STORES | {"INSTANCE_PATH": str(tmp_path)})
    with pytest.raises(SettingsError) as caught:
        _ = settings.signing_key
    [problem] = caught.value.problems
    assert problem.startswith(f"JWT_SECRET_KEY: is not set, and none can be kept in {tmp_path}/keys/jwt_secret_key: ")


def test_no_known_key_signs_anything() -> None:
    assert Settings().jwt_secret_key == ""


def test_what_is_in_the_instance_folder_moves_with_it() -> None:
    moved = load_settings(STORES | {"INSTANCE_PATH": "/srv/market"})
    assert [moved.search_index_path, moved.alipay_app_private_key_path, moved.alipay_public_key_path] == [
        Path("/srv/market/search"),
        Path("/srv/market/keys/app_private.pem"),
        Path("/srv/market/keys/gateway_public.pem"),
    ]
    apart = load_settings(STORES | {"INSTANCE_PATH": "/srv/market", "SEARCH_INDEX_PATH": "/fast/index"})
    assert apart.search_index_path == Path("/fast/index")
    assert load_settings(STORES).search_index_path == PROJECT_ROOT / "instance" / "search"


def test_the_cashier_takes_access_tokens_in_urls_only_outside_of_production() -> None:
    assert not load_settings(PRODUCTION).takes_access_token_in_url
    assert load_settings(STORES).takes_access_token_in_url
    for word, taken in (("1", True), ("0", False)):
        for environ in (PRODUCTION, STORES):
            chosen = load_settings(environ | {"CASHIER_ACCEPTS_ACCESS_TOKEN": word})
            assert chosen.takes_access_token_in_url is taken


def test_the_key_for_tokens_has_a_least_length() -> None:
    assert problems(STORES | {"JWT_SECRET_KEY": "k" * 31}) == ["JWT_SECRET_KEY: must have at least 32 characters"]
    assert load_settings(STORES | {"JWT_SECRET_KEY": "k" * 32}).jwt_secret_key == "k" * 32


DEADLINES = [rule.deadline for rule in ORDER.rules if rule.deadline]


def test_webhooks_are_signed() -> None:
    url = {"WEBHOOK_URL": "https://shop.example/hooks/?shop=1"}
    assert problems(STORES | url) == ["WEBHOOK_SECRET: is required where WEBHOOK_URL is set"]
    settings = load_settings(STORES | url | {"WEBHOOK_SECRET": "whsec_" + "QUFB" * 8})
    assert (settings.webhook_url, settings.webhook_secret) == (url["WEBHOOK_URL"], "whsec_" + "QUFB" * 8)


MALFORMED = {
    ("SALTFISH_ENV", "staging"): ("SALTFISH_ENV: must be one of development, testing, production, not 'staging'"),
    **{
        (variable, raw): f"{variable}: must be a whole number, not negative, not {raw!r}"
        for variable in of_type("int")
        for raw in ("-1", "many", "1.5", "１")
    },
    **{(variable, raw): f"{variable}: {NOT_BOOLEAN}" for variable in of_type("bool") for raw in ("2", "maybe", "-")},
    **{
        (variable, "0"): f"{variable}: must be above 0"
        for variable in (
            "DATABASE_POOL_SIZE",
            "ACCESS_TOKEN_LIFETIME",
            "REFRESH_TOKEN_LIFETIME",
            "CAPTCHA_LIFETIME",
            "LOGIN_FAILURES_WINDOW",
            "ALIPAY_TIMEOUT",
            "WEBHOOK_TIMEOUT",
            "WORKER_HEARTBEAT_LIMIT",
            *(deadline.setting.upper() for deadline in DEADLINES),
            "UNPAID_ORDERS_LIMIT",
            "CANCELLED_ORDERS_WINDOW",
            "CANCELLED_ORDERS_DELAY",
            "HANDOVER_TRIES",
            "PAYMENT_QUERY_AFTER",
            "OUTBOX_LEASE",
        )
    },
    **{
        (variable, raw): f"{variable}: must be 1 to 65535"
        for variable in ("PORT", "GATEWAY_PORT")
        for raw in ("0", "99999")
    },
    ("LOG_LEVEL", "loud"): "LOG_LEVEL: must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL, not 'loud'",
    **{
        (variable, "banana"): f"{variable}: must be a rate limit like `60 per minute`, not 'banana'"
        for variable in of_type("str")
        if variable.startswith("RATE_LIMIT_")
    },
    **{
        (variable, raw): f"{variable}: must be like https://shop.example, not {raw!r}"
        for variable in ("PUBLIC_URL", "ALIPAY_GATEWAY_URL")
        for raw in (
            "shop.example",
            "//shop.example",
            "ftp://shop.example",
            "https://",
            "https://shop.example:99999",
            "https://[::1",
            "https://shop.example/?a=1",
            "https://shop.example/#a",
            "https://shop example",
            "https://咸鱼.example",
        )
    },
    # Without the values: they may hold passwords, or are secrets.
    **{
        ("WEBHOOK_URL", raw): "WEBHOOK_URL: must be like https://shop.example/hooks?shop=1"
        for raw in ("shop.example/hooks", "ftp://shop.example", "https://", "https://a:b@shop.example", "https://s/#a")
    },
    **{
        (variable, raw): f"{variable}: must be `whsec_` and the base64 of 24 to 64 random bytes"
        for variable in ("WEBHOOK_SECRET", "WEBHOOK_PREVIOUS_SECRET")
        for raw in ("a" * 32, "whsec_" + "QUFB" * 7, "whsec_" + "QUFB" * 22, "whsec_" + "-" * 32, "whsec_咸鱼")
    },
    ("WEBHOOK_TIMEOUT", "61"): "WEBHOOK_TIMEOUT: must be at most 60",
    **{
        ("DATABASE_URL", raw): "DATABASE_URL: must begin with postgresql+psycopg://"
        for raw in ("sqlite:///a.db", "postgres://user:secret@host/name", "postgresql://user:secret@host/name")
    },
}


def test_the_clocks_of_the_order_have_settings_of_the_same_length() -> None:
    assert len(DEADLINES) == 8
    settings = Settings()
    for deadline in DEADLINES:
        assert getattr(settings, deadline.setting) == deadline.default.total_seconds()
        assert getattr(settings, deadline.reminder.setting) == deadline.reminder.default.total_seconds()


def test_a_lease_outlives_the_work() -> None:
    short = STORES | {"OUTBOX_LEASE": "39"}
    assert problems(short) == ["OUTBOX_LEASE: must be at least four times ALIPAY_TIMEOUT"]
    assert load_settings(short | {"ALIPAY_TIMEOUT": "9"}).outbox_lease == 39
    slow = STORES | {"OUTBOX_LEASE": "40", "WEBHOOK_TIMEOUT": "21"}
    assert problems(slow) == ["OUTBOX_LEASE: must be at least twice WEBHOOK_TIMEOUT"]
    assert load_settings(slow | {"OUTBOX_LEASE": "42"}).webhook_timeout == 21


def test_the_fee_is_a_share() -> None:
    assert load_settings(STORES | {"PLATFORM_FEE_BASIS_POINTS": "10000"}).platform_fee_basis_points == 10_000
    assert problems(STORES | {"PLATFORM_FEE_BASIS_POINTS": "10001"}) == [
        "PLATFORM_FEE_BASIS_POINTS: must be 0 to 10000 (hundredths of a percent)"
    ]


@pytest.mark.parametrize("variable", ["ALIPAY_APP_CERT_PATH", "ALIPAY_ROOT_CERT_PATH"])
def test_certificates_come_together(variable: str) -> None:
    assert load_settings(STORES).alipay_app_cert_path is None
    assert problems(STORES | {variable: "cert.crt"}) == [
        "ALIPAY_APP_CERT_PATH and ALIPAY_ROOT_CERT_PATH: are set together, or neither"
    ]
    both = load_settings(STORES | {"ALIPAY_APP_CERT_PATH": "/keys/app.crt", "ALIPAY_ROOT_CERT_PATH": "/keys/root.crt"})
    assert (both.alipay_app_cert_path, both.alipay_root_cert_path) == (Path("/keys/app.crt"), Path("/keys/root.crt"))


def test_numbers_and_switches_are_all_in_the_table() -> None:
    assert len(of_type("int")) == 84
    assert of_type("bool") == ["ENVELOPE_ALWAYS_200", "SQL_COUNT_HEADER", "CAPTCHA_REVEAL", "RATE_LIMITS_ENABLED"]


@pytest.mark.parametrize(("variable", "raw"), MALFORMED)
def test_what_is_malformed_is_named(variable: str, raw: str) -> None:
    assert problems(STORES | {variable: raw}) == [MALFORMED[variable, raw]]


def test_everything_malformed_is_named_at_once() -> None:
    environ = dict.fromkeys(("SALTFISH_ENV", *of_type("int"), *of_type("bool")), "?")
    found = problems(STORES | environ)
    order = [variable_of(each) for each in dataclasses.fields(Settings)]
    assert [text.partition(":")[0] for text in found] == sorted(environ, key=order.index)


def test_the_error_reads_line_by_line() -> None:
    error = SettingsError(["PORT: must not be negative", "REDIS_URL: is not set"])
    assert str(error) == "invalid settings:\n  PORT: must not be negative\n  REDIS_URL: is not set"


@pytest.mark.parametrize(
    ("variable", "raw", "field", "value"),
    [
        ("PORT", "8100", "port", 8100),
        (
            "CORS_ORIGINS",
            " https://a.example , ,https://b.example",
            "cors_origins",
            ("https://a.example", "https://b.example"),
        ),
        ("CORS_ORIGINS", "", "cors_origins", ()),
        ("LOG_LEVEL", "debug", "log_level", "DEBUG"),
        ("PUBLIC_URL", "https://saltfish.example//", "public_url", "https://saltfish.example"),
        ("INSTANCE_PATH", "/srv/saltfish", "instance_path", Path("/srv/saltfish")),
        ("INSTANCE_PATH", "elsewhere", "instance_path", PROJECT_ROOT / "elsewhere"),
        ("INSTANCE_PATH", "", "instance_path", PROJECT_ROOT / "instance"),
        *(("RATE_LIMITS_ENABLED", word, "rate_limits_enabled", False) for word in ("0", "false", "No", " OFF ")),
        *(("CAPTCHA_REVEAL", word, "captcha_reveal", True) for word in ("1", "True", "yes", " on ")),
    ],
)
def test_values_are_read(variable: str, raw: str, field: str, value: Any) -> None:
    assert getattr(load_settings(STORES | {variable: raw}), field) == value


def test_addresses_follow_host_and_port() -> None:
    settings = load_settings(STORES | {"HOST": "10.0.0.7", "PORT": "8100", "GATEWAY_HOST": "10.0.0.8"})
    assert settings.base_url == "http://10.0.0.7:8100"
    assert settings.gateway_url == "http://10.0.0.8:8001/gateway.do"


def test_addresses_are_what_a_browser_takes() -> None:
    """What is listened on is not always what can be called: the payer and the gateway's notifications go there."""
    everywhere = load_settings(STORES | {"HOST": "0.0.0.0", "GATEWAY_HOST": "::"})
    assert everywhere.base_url == "http://127.0.0.1:8000"
    assert everywhere.gateway_url == "http://[::1]:8001/gateway.do"
    assert load_settings(STORES | {"HOST": "fd00::7"}).base_url == "http://[fd00::7]:8000"


def test_variables_are_named_like_their_fields() -> None:
    named = {each.name: variable_of(each) for each in dataclasses.fields(Settings)}
    assert len(named) == 142
    others = {name: variable for name, variable in named.items() if variable != name.upper()}
    assert others == {"environment": "SALTFISH_ENV"}


def test_the_process_s_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in (STORES | {"SALTFISH_ENV": "testing", "PORT": "8123"}).items():
        monkeypatch.setenv(variable, value)
    assert load_settings().port == 8123


@pytest.mark.parametrize("field", [each.name for each in dataclasses.fields(Settings)])
def test_settings_are_frozen(field: str) -> None:
    settings = load_settings(STORES)
    before = getattr(settings, field)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(settings, field, None)
    assert getattr(settings, field) == before


# The table


def test_the_command_prints_the_table() -> None:
    printed = subprocess.run(
        [sys.executable, "config.py"], cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert printed.stdout == settings_table() + "\n"


def test_the_table_has_every_setting_and_shows_no_secret() -> None:
    header, rule, *rows = settings_table().splitlines()
    assert (header, rule) == ("| variable | default | meaning |", "|---|---|---|")
    cells = [row.strip("| ").split(" | ") for row in rows]
    variables = [variable_of(each) for each in dataclasses.fields(Settings)]
    assert [variable.strip("`") for variable, *_ in cells] == variables
    assert len(set(variables)) == len(variables)
    secrets = {row[0].strip("`") for row in cells if row[1] == "required in production"}
    assert secrets == set(REQUIRED) - {"ALIPAY_GATEWAY_URL", "PUBLIC_URL"}


def test_nothing_else_in_the_application_reads_the_environment() -> None:
    readers = {
        path.relative_to(PROJECT_ROOT).as_posix()
        for folder in ("app", "statemachine", "tasks")
        for path in (PROJECT_ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
        if not (isinstance(node.value, ast.Name) and node.value.id == "request")  # WSGI's, of one request
    }
    # The sandbox gateway is a program of its own; the third looks for prometheus-client's own variable.
    assert readers == {"app/money/sandbox/__main__.py", "app/money/sandbox/settings.py", "app/web/metrics.py"}
