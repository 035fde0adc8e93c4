"""The RSGI entry point: what `python -m app.web.server` lets granian serve. `wsgi.py` is that of other WSGI servers."""

from app.web.edge import Edge
from wsgi import app as application

app = Edge(application)
