# One image for all five services: `parkade run <service>` chooses which.
# Written for BuildKit and for the classic builder, so no mounts, heredocs or --chmod.
FROM python:3.11-slim-bookworm AS base

FROM base AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# The runtime environment gets no pip: what runs cannot install anything.
RUN python -m venv --without-pip /opt/parkade && python -m venv --without-pip /opt/build
# Dependencies come before the source, so a change of code does not fetch them again.
COPY requirements.lock ./
RUN python -m pip --python /opt/parkade/bin/python install --require-hashes -r requirements.lock
COPY deploy/requirements-build.lock deploy/
RUN python -m pip --python /opt/build/bin/python install --require-hashes \
        -r deploy/requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY shared shared
COPY services services
COPY parkade parkade
RUN /opt/build/bin/hatchling build -t wheel -d /wheels \
    && python -m pip --python /opt/parkade/bin/python install --no-deps --no-index /wheels/*.whl

FROM base
# A number, not a name, so that an orchestrator can see that it is not root.
RUN groupadd --gid 10001 parkade \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/parkade \
        --shell /usr/sbin/nologin parkade \
    && install -d -o 10001 -g 10001 -m 0750 /var/lib/parkade
COPY --from=build /opt/parkade /opt/parkade
# Inside a container every address is the container's own; what is published decides who gets in.
ENV PATH=/opt/parkade/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PARKADE_DATA_DIR=/var/lib/parkade \
    PARKADE_HEALTH_PORT=8081 \
    PARKADE_HTTP_HOST=0.0.0.0
USER 10001:10001
WORKDIR /var/lib/parkade
EXPOSE 8080 19520
# The service's own readiness. Asked by bash, because `parkade health` would load all of Parkade every
# ten seconds in every container; what it answers shows in `docker inspect`.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/$PARKADE_HEALTH_PORT && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 \
    && answer=$(cat <&3) && echo \"${answer##*$'\\n'}\" && [[ $answer == 'HTTP/1.'?' 200 '* ]]"]
CMD ["parkade", "up"]
