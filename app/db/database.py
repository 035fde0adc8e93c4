"""The Flask-SQLAlchemy extension, unbound; `create_app` binds it."""

from flask_sqlalchemy import SQLAlchemy

from app.db.columns import Base

db = SQLAlchemy(model_class=Base)
