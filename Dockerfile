# One image for every process of the fleet; the command chooses: `fleet serve ROLE`, `fleet replay CONFIG`.
# docs/how-to/docker.md

# -- what is installed, and the kernels compiled: nothing of the tools for it goes any further ---------------------------
FROM python:3.13-slim AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build

# The dependencies first: they change less often than our code.
COPY requirements-image.lock requirements-build.lock ./
RUN python -m venv /opt/fleet \
 && python -m venv /opt/tools \
 && /opt/fleet/bin/pip install --require-hashes --no-deps -r requirements-image.lock \
 && /opt/tools/bin/pip install --require-hashes --no-deps -r requirements-build.lock

COPY pyproject.toml README.md ./
COPY libs libs
COPY services services
COPY deploy/nats deploy/nats
RUN /opt/tools/bin/python -m hatchling build -t wheel -d dist \
 && /opt/fleet/bin/pip install --no-deps --no-index dist/*.whl \
 && /opt/fleet/bin/pip uninstall --yes pip \
 && /opt/fleet/bin/fleet init /project

# For a baseline CPU, so that no container compiles at its start and all round alike (nautilus_common/compiled.py).
RUN NUMBA_CPU_NAME=generic NUMBA_CACHE_DIR=/opt/fleet/kernels /opt/fleet/bin/python -m nautilus_common.compiled

# -- what runs -----------------------------------------------------------------------------------------------------------
FROM python:3.13-slim

RUN groupadd --gid 10001 fleet \
 && useradd --uid 10001 --gid fleet --no-create-home --home-dir /var/lib/fleet --shell /usr/sbin/nologin fleet \
 && install --directory --owner fleet --group fleet /var/lib/fleet

COPY --from=build /opt/fleet /opt/fleet
COPY --from=build /project /project

ENV PATH=/opt/fleet/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NUMBA_CPU_NAME=generic \
    NUMBA_CACHE_DIR=/tmp/numba \
    NUMBA_CACHE_LOCATOR_CLASSES=nautilus_common.compiled.ShippedCacheLocator,UserProvidedCacheLocator \
    FLEET_KERNELS=/opt/fleet/kernels \
    FLEET_HOME=/var/lib/fleet \
    FLEET_PROJECT=/project \
    FLEET_HTTP=0.0.0.0:8080

# The file system may be read-only: only /tmp and /var/lib/fleet are written.
WORKDIR /var/lib/fleet
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["fleet"]
CMD ["--help"]
