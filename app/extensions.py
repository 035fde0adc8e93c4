"""Flask extensions and the Valkey client, unbound; `create_app` binds them."""

import redis
from flask import current_app
from flask_jwt_extended import JWTManager
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

from app.columns import Base

db = SQLAlchemy(model_class=Base)
migrate = Migrate()
jwt = JWTManager()
limiter = Limiter(key_func=get_remote_address, headers_enabled=True, strategy="moving-window")


def valkey() -> "redis.Redis":
    """The application's Valkey client (thread-safe, pooled); answers are `str`."""
    client: redis.Redis = current_app.extensions["valkey"]
    return client
