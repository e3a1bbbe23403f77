# syntax=docker/dockerfile:1
# The image of Catalog Mirror: built from the locked, hashed requirements, run by anybody but root.
#
#   docker build -t catalog-mirror .                                        the image
#   docker build --target wheelhouse --output type=local,dest=wheels .      every wheel, to install without a network
#   docker build --secret id=pip,src=$HOME/.config/pip/pip.conf …           a package index of your own
#   docker build --secret id=npm,src=$HOME/.npmrc …                         an npm registry of your own
#
# docs/production.md tells the rest. A test runs the steps of `wheels` and `installed` without an engine.

# Pinned on 2026-11-30, by the digest of the index, which names an image for each machine. `make bases` says when that is old.
#: Your registry's copy, with its digest, may stand here (`--build-arg PYTHON_IMAGE=…@sha256:…`).
ARG PYTHON_IMAGE=docker.io/library/python:3.13.9-slim-bookworm@sha256:b685a4fa58bb19d1814d78a1ec0f0208f351452724f78b20212c984d6e124a34
#: For one step alone: gets what the console's pages load, by a lock with hashes.
ARG NODE_IMAGE=docker.io/library/node:22.21.1-bookworm-slim@sha256:25b3eb23a00590b7499f2a2ce939322727fcce1b15fdd69754fcd09536a3ae2c


FROM ${NODE_IMAGE} AS browser
ENV CONSOLE=/console
WORKDIR /console
COPY service/http/console/package.json service/http/console/package-lock.json ./
RUN --mount=type=secret,id=npm,target=/root/.npmrc \
    npm ci --prefix "$CONSOLE" --omit=dev --ignore-scripts --no-audit --no-fund --silent


# Wheels of the locked requirements, those of all extras among them, and of this project; nothing else takes part.
FROM ${PYTHON_IMAGE} AS wheels
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 \
    SRC=/src WHEELS=/wheels BUILD=/build
WORKDIR /src
COPY requirements-image.txt requirements-build.txt ./
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python -m venv "$BUILD" \
    && "$BUILD/bin/pip" install --quiet --no-deps --require-hashes -r "$SRC/requirements-build.txt" \
    && "$BUILD/bin/pip" wheel --quiet --no-deps --require-hashes --only-binary :all: \
        --wheel-dir "$WHEELS" -r "$SRC/requirements-image.txt"
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY catalog_mirror catalog_mirror
COPY service service
COPY handlers handlers
COPY sandbox sandbox
COPY --from=browser /console/node_modules service/http/console/node_modules
RUN "$BUILD/bin/pip" wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir "$WHEELS" "$SRC"


# `docker build --target wheelhouse --output type=local,dest=wheels .`, then on a machine without a network:
# pip install --no-index --find-links wheels catalog-mirror
FROM scratch AS wheelhouse
COPY --from=wheels /wheels /


# An environment of its own, without pip, that needs neither network nor compiler.
FROM ${PYTHON_IMAGE} AS installed
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 \
    WHEELS=/wheels PREFIX=/opt/catalog-mirror
COPY --from=wheels /wheels /wheels
RUN python -m venv --without-pip "$PREFIX" \
    && python -m pip --python "$PREFIX/bin/python" install --quiet --no-deps --no-index --compile "$WHEELS"/*.whl


FROM ${PYTHON_IMAGE}
ARG PYTHON_IMAGE
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="Catalog Mirror" \
      org.opencontainers.image.description="Keeps a live copy of a data catalog outside of it, and passes its changes on" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}"
# What builds or installs has no place here; /data may be written by any user of group 0, as OpenShift gives us.
RUN python -m pip uninstall --quiet --yes --root-user-action=ignore pip \
    && rm -rf /usr/local/lib/python3.*/ensurepip /root/.cache \
    && install -d -o 10001 -g 0 -m 2775 /data
COPY --from=installed /opt/catalog-mirror /opt/catalog-mirror
ENV PATH=/opt/catalog-mirror/bin:$PATH \
    SOURCE_REVISION=${REVISION} \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# Numbers, so that Kubernetes can see that it is not root.
USER 10001:0
WORKDIR /data
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-m", "service.process.healthcheck"]
ENTRYPOINT ["catalog-mirror"]
CMD ["run"]
