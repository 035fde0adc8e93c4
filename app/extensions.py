"""Flask extensions, not yet bound to an application (`create_app` does that), and access to the Valkey client."""

import redis
from flask import current_app, request
from flask_jwt_extended import JWTManager
from flask_limiter import Limiter
from flask_migrate import Migrate

from app.origin import network_of

# Alembic's batches are for SQLite, which cannot alter tables; PostgreSQL can.
migrate = Migrate(render_as_batch=False)
jwt = JWTManager()
# Without its headers: it writes Retry-After on every answer, and over those that know better (`app.web.errors`).
limiter = Limiter(key_func=lambda: network_of(request.remote_addr), strategy="moving-window")


def valkey() -> "redis.Redis":
    """The application's Valkey client (thread-safe, pooled); it decodes replies to `str`."""
    client: redis.Redis = current_app.extensions["valkey"]
    return client
