"""Puts the application together: settings, extensions, blueprints, errors, CLI."""

from datetime import timedelta

import redis
from flask import Flask
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy.pool import QueuePool
from werkzeug.middleware.proxy_fix import ProxyFix

from app import models  # noqa: F401 - Flask-Migrate compares the database with every model there is
from app.account_data.views import api as account_data_api
from app.accounts.sessions import SessionCache
from app.accounts.views import api as accounts_api
from app.cases.views import api as cases_api
from app.cashier.views import api as cashier_api
from app.cli import register_commands
from app.db.database import db
from app.db.transactions import read_engine
from app.extensions import jwt, limiter, migrate
from app.gauges import WaitingWork
from app.goods.models import Good
from app.goods.storage import LocalPictureStorage
from app.goods.views import api as goods_api
from app.listings.views import api as listings_api
from app.logs import configure_logging
from app.moderation.views import api as moderation_api
from app.money.gateways.alipay import AlipayGateway
from app.notifications.views import api as notifications_api
from app.office.views import office
from app.orders.views import api as orders_api
from app.outbox.models import Topic
from app.outbox.service import do_at_commit
from app.profiles.views import api as profiles_api
from app.recovery.views import api as recovery_api
from app.refusals import REFUSAL_DETAILS
from app.regions.views import api as regions_api
from app.saved_searches.views import api as saved_searches_api
from app.search import service as search
from app.search.checks import readiness
from app.search.views import api as search_api
from app.settings import bind_settings
from app.staff.views import api as staff_api
from app.suggestions.views import api as suggestions_api
from app.wallet.views import api as wallet_api
from app.web.api import Api, IdConverter, register_operations
from app.web.auth import AUDIENCE, ISSUER
from app.web.bodies import FIELDS_LIMIT, SMALL_BODY, CountedBodies
from app.web.cors import allow_origins
from app.web.docs import docs
from app.web.envelope import OrjsonProvider
from app.web.errors import register_error_handlers
from app.web.health import health, register_check
from app.web.metrics import register_gauges
from app.web.openapi import register_openapi
from app.web.request_hooks import register_request_hooks, register_sql_counting
from config import PROJECT_ROOT, Settings, SettingsError

APIS: tuple[Api, ...] = (
    accounts_api,
    profiles_api,
    recovery_api,
    account_data_api,
    regions_api,
    goods_api,
    moderation_api,
    orders_api,
    cashier_api,
    wallet_api,
    notifications_api,
    staff_api,
    cases_api,
    search_api,
    suggestions_api,
    saved_searches_api,
    listings_api,
    docs,
    health,
)


_CACHE_TIMEOUT = 1.0  # seconds


def build_app(settings: Settings) -> Flask:
    """The Flask application for `settings`. Opens no connection."""
    configure_logging(settings.log_level)
    app = Flask("app", instance_path=str(settings.instance_path), static_folder=None)
    app.json = OrjsonProvider(app)
    bind_settings(app, settings)
    app.config.update(_flask_config(settings))
    # The API spec (`api-notes.txt`) is not consistent about trailing slashes, and its clients follow no redirects.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.url_map.converters["id"] = IdConverter
    # Registered first, so that a request has its id before an extension's hook can fail.
    register_request_hooks(app)
    _bind_extensions(app, settings)
    register_error_handlers(app)
    for api in APIS:
        app.register_blueprint(api)
    app.register_blueprint(office)
    register_operations(app, [*(each for api in APIS for each in api.operations), *office.operations])
    register_gauges(app, WaitingWork())
    do_at_commit(app, Topic.SEARCH_INDEX, Good, search.write_at_commit)
    register_check(app, "search", readiness)
    register_openapi(app, APIS, REFUSAL_DETAILS, always_200=settings.envelope_always_200)
    register_commands(app)
    if settings.sql_count_header:
        with app.app_context():
            register_sql_counting(app, db.engine)
    app.wsgi_app = CountedBodies(app.wsgi_app)  # type: ignore[method-assign] # Flask's documented way to add middleware
    if settings.trusted_proxies:
        proxies = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies)  # type: ignore[method-assign] # as above
    return app


def _flask_config(settings: Settings) -> dict[str, object]:
    return {
        "TESTING": settings.environment == "testing",
        "MAX_CONTENT_LENGTH": settings.max_body_bytes,
        # Werkzeug counts what it has just read among the fields, also where that is of a file: 64 KiB at a time.
        "MAX_FORM_MEMORY_SIZE": 2 * SMALL_BODY,
        "MAX_FORM_PARTS": FIELDS_LIMIT,
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": {
            "poolclass": QueuePool,
            # Prefer the connection used last: its statements are prepared and its server process is warm.
            "pool_use_lifo": True,
            "pool_size": settings.database_pool_size,
            "max_overflow": settings.database_pool_size,
            # A failing statement's parameters may be an address, a mobile number or a hash: keep them out of the log.
            "hide_parameters": True,
            "connect_args": {
                "options": f"-c statement_timeout={settings.database_statement_timeout}s"
                f" -c lock_timeout={settings.database_lock_timeout}s"
                " -c timezone=UTC",
                "connect_timeout": 5,
                "application_name": "saltfish",
            },
        },
        "JWT_SECRET_KEY": settings.signing_key,
        "JWT_ACCESS_TOKEN_EXPIRES": timedelta(seconds=settings.access_token_lifetime),
        "JWT_REFRESH_TOKEN_EXPIRES": timedelta(seconds=settings.refresh_token_lifetime),
        "JWT_COOKIE_CSRF_PROTECT": False,  # there are no cookies, and a pair of tokens can be made once more
        "JWT_ENCODE_ISSUER": ISSUER,
        "JWT_ENCODE_AUDIENCE": AUDIENCE,
        "JWT_DECODE_ISSUER": ISSUER,
        "JWT_DECODE_AUDIENCE": AUDIENCE,
        "RATELIMIT_ENABLED": settings.rate_limits_enabled,
        "RATELIMIT_STORAGE_URI": settings.redis_url.replace("unix://", "redis+unix://", 1),
    }


def _bind_extensions(app: Flask, settings: Settings) -> None:
    db.init_app(app)
    migrate.init_app(app, db, directory=str(PROJECT_ROOT / "migrations"))
    jwt.init_app(app)
    limiter.init_app(app)
    if settings.rate_limits_enabled:
        # Its hook checks application-wide limits at every request. We have none: ours are declared at their routes and
        # checked there. Without the hook, reading a good costs a seventh less.
        app.before_request_funcs[None].remove(limiter._check_request_limit)
    app.extensions["valkey"] = redis.Redis.from_url(settings.redis_url, decode_responses=True)
    # A cache that does not answer at once is passed over, so this client neither waits nor tries again.
    cache = redis.Redis.from_url(
        settings.redis_url,
        decode_responses=True,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=_CACHE_TIMEOUT,
        socket_connect_timeout=_CACHE_TIMEOUT,
    )
    app.extensions["saltfish.sessions"] = SessionCache(cache)
    app.extensions["saltfish.pictures"] = LocalPictureStorage(settings.instance_path / "pictures")
    key_files = (settings.alipay_app_private_key_path, settings.alipay_public_key_path)
    if settings.is_production or all(path.exists() for path in key_files):
        # A broken key fails the start, in production a missing one too; elsewhere they may be made later.
        try:
            app.extensions["saltfish.gateway"] = AlipayGateway.from_settings(settings)
        except (OSError, ValueError) as error:
            raise SettingsError([str(error)]) from error
    if settings.cors_origins:
        allow_origins(app, settings.cors_origins)
    with app.app_context():
        app.extensions["saltfish.read_engine"] = read_engine(db.engine)
