"""The Flask-SQLAlchemy extension, not yet bound to an application; `create_app` does that."""

from flask_sqlalchemy import SQLAlchemy

from app.db.columns import Base

db = SQLAlchemy(model_class=Base)
