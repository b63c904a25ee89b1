# Two stages: the first one builds wheels, the second one holds only what runs.
# BASE may be any Debian-like image with Python 3.11 or later. Give it by digest, so that the same sources always stand on the
# same image: --build-arg BASE=python:3.11-slim-bookworm@sha256:<the digest that your registry tells>
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG BASE
RUN case "${BASE}" in *@sha256:*) ;; *) echo "WARNING: the base image ${BASE} is not named by its digest, so nobody can tell later what this image was built on; give --build-arg BASE=<image>@sha256:<digest>" >&2 ;; esac
WORKDIR /build
COPY requirements/run.txt requirements/run.txt
RUN python3 -m venv /opt/celonis-chat \
 && /opt/celonis-chat/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY bot bot
COPY adapters adapters
# hatchling makes the wheel from the sources alone; it does not stay.
COPY requirements/build.txt requirements/build.txt
RUN python3 -m venv /opt/wheel \
 && /opt/wheel/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements/build.txt \
 && /opt/wheel/bin/pip wheel --no-cache-dir --disable-pip-version-check --no-build-isolation --no-deps --wheel-dir /build/dist . \
 && /opt/celonis-chat/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps /build/dist/*.whl

FROM ${BASE}
RUN useradd --system --uid 10001 --home-dir /var/lib/celonis-chat --create-home celonis-chat
COPY --from=build /opt/celonis-chat /opt/celonis-chat
ENV PATH=/opt/celonis-chat/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 10001
WORKDIR /var/lib/celonis-chat
VOLUME /var/lib/celonis-chat
EXPOSE 3978
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
  CMD ["python3", "-c", "import sys, urllib.request; sys.exit(urllib.request.urlopen('http://127.0.0.1:3978/healthz', timeout=4).status != 200)"]
ENTRYPOINT ["celonis-chat"]
CMD ["serve", "--host", "0.0.0.0"]
