"""The WSGI entry point: `granian --interface wsgi wsgi:app`, `flask --app wsgi …`."""

import signal
import threading

from app import load_app

# Granian forks its workers with its own handlers, and they get theirs only once they have loaded this module. A worker
# told to end before that would only note it down, and granian wait for it for ever.
if threading.current_thread() is threading.main_thread():  # `flask run` loads elsewhere, where nobody may set one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

app = load_app()
