# Carrel as an image: the site's web server, unless another command is given. compose.yaml runs it.
# Each build takes the newest patch of this Python and this Debian; name a digest to freeze them.
ARG BASE=python:3.12-slim-trixie

FROM ${BASE} AS build
ENV PATH=/opt/carrel/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
RUN python3 -m venv --without-pip /opt/carrel
COPY requirements-scale.txt /srv/carrel/
RUN pip --python /opt/carrel/bin/python install --require-hashes --only-binary=:all: \
    -r /srv/carrel/requirements-scale.txt
COPY . /srv/carrel
WORKDIR /srv/carrel
# The key is thrown away: collecting files asks for one and signs nothing.
RUN SECRET_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(50))')" \
    ALLOWED_HOSTS=localhost \
    python manage.py collectstatic --noinput \
    && python -m compileall -q .

FROM ${BASE}
# pg_dump has to be as new as the server: this and compose.yaml name the same PostgreSQL.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends postgresql-client-17 \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --no-log-init --no-create-home --home-dir /srv/carrel --shell /usr/sbin/nologin carrel \
    && install -d -o carrel -g carrel /var/lib/carrel /var/lib/carrel/backups
COPY --from=build /opt/carrel /opt/carrel
COPY --from=build /srv/carrel /srv/carrel
ENV PATH=/opt/carrel/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DATABASE_URL=sqlite:////var/lib/carrel/carrel.sqlite3 \
    BACKUP_DIR=/var/lib/carrel/backups \
    PORT=8000
WORKDIR /srv/carrel
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import http.client as http, os; web = http.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=4); web.request('GET', '/healthz'); raise SystemExit(web.getresponse().status != 200)"]
CMD ["gunicorn", "config.wsgi"]
