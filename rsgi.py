"""The RSGI entry point: what `python -m app.web.server` lets granian serve. `wsgi.py` is that of other WSGI servers."""

from app.moderation.text import load_rules
from app.search.service import load_words
from app.settings import settings
from app.web.edge import Edge
from wsgi import app as application

with application.app_context():
    # Else the first who writes a text or searches waits for it. A market of one's own should rather be up a second
    # earlier.
    if settings().is_production:
        load_rules()
        load_words()

app = Edge(application)
