# Stage 1 has a compiler, makes the wheel and installs it into /opt/slotway; stage 2 has
# Debian's Python and that directory: no compiler, no pip, nothing that could be written to.
# Debian brings security fixes for the interpreter with those for everything else, and is
# there for amd64, arm64 and more; nothing here names an architecture.
FROM docker.io/library/debian:trixie-slim AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY constraints.txt pyproject.toml setup.py README.md LICENSE ./
COPY proxy proxy
# Compiled to bytecode once, here, and not at every start of a container that cannot keep it;
# unchecked, because a file's time does not always survive the copy between stages.
RUN export PIP_CONSTRAINT=constraints.txt SLOTWAY_CFLAGS="-g0 -Wl,-s" \
    && python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/slotway \
    && /opt/pip/bin/pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && /opt/pip/bin/pip --python /opt/slotway/bin/python install --no-cache-dir --no-compile \
        "$(echo /wheels/slotway-*.whl)[tracing]" \
    && /opt/slotway/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/slotway/lib

FROM docker.io/library/debian:trixie-slim
LABEL org.opencontainers.image.title="slotway" \
      org.opencontainers.image.description="One plain Redis port in front of a whole Redis or Valkey cluster" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.base.name="docker.io/library/debian:trixie-slim"
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --home-dir / --shell /usr/sbin/nologin slotway
COPY --from=build /opt/slotway /opt/slotway
COPY proxy.toml /etc/slotway/proxy.toml
# What reaches a container is decided where its ports are published and networks made, so
# protected mode is off here, as in Redis's own image: it would refuse every other container.
# The admin port answers probes and scrapes from outside; what it says of keys, and what it
# changes, needs admin.token there.
ENV PATH=/opt/slotway/bin:/usr/bin:/bin \
    SLOTWAY_LISTEN__ADDRESS=0.0.0.0 \
    SLOTWAY_LISTEN__PROTECTED_MODE=false \
    SLOTWAY_ADMIN__ADDRESS=0.0.0.0 \
    SLOTWAY_LOG__FORMAT=json
USER 10001:10001
EXPOSE 6379 9379
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["slotway", "health", "--config", "/etc/slotway/proxy.toml"]
ENTRYPOINT ["slotway"]
CMD ["serve", "--config", "/etc/slotway/proxy.toml"]
