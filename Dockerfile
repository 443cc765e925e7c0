# Stage 1 has a compiler and makes the wheel; stage 2 has neither compiler nor pip's cache.
FROM python:3.12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml setup.py README.md LICENSE constraints.txt ./
COPY proxy proxy
RUN pip wheel --no-cache-dir --constraint constraints.txt --wheel-dir /wheels .

FROM python:3.12-slim
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-compile --no-index --find-links /wheels slotway \
    && useradd --system --uid 10001 --no-create-home slotway
COPY proxy.toml /etc/slotway/proxy.toml
USER 10001
EXPOSE 6379
ENV SLOTWAY_LISTEN__ADDRESS=0.0.0.0 SLOTWAY_LOG__FORMAT=json PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["slotway"]
CMD ["serve", "--config", "/etc/slotway/proxy.toml"]
