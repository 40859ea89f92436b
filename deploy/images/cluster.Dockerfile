# A node of a Ray cluster: search services and replicas, for the chart's `cluster.image`.
#
#     docker build --file deploy/images/cluster.Dockerfile --tag lookalike/cluster:0.1.0 .
#
# BASE is any Debian with a python3 of 3.11 or newer and its venv module; name it by digest
# where builds must repeat. EXTRAS with embedder has `lookalike bulk-index` run on the nodes. The secret `pip`, a pip.conf, names another package index.
# checkov:skip=CKV_DOCKER_7: BASE has a tag; the check does not look through the argument
# checkov:skip=CKV_DOCKER_2: Kubernetes and OCI know no HEALTHCHECK; compose.yaml and the chart have probes
ARG BASE=docker.io/library/python:3.13-slim-bookworm

FROM ${BASE} AS build
ARG EXTRAS=ray,search,analysis,client
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python3 -m venv /opt/lookalike
COPY . .
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    /opt/lookalike/bin/pip install --quiet --constraint deploy/constraints.txt \
      ".[tracing,${EXTRAS}]" \
    && /opt/lookalike/bin/python -m compileall -q /opt/lookalike/lib \
    && /opt/lookalike/bin/pip uninstall --quiet --yes pip

FROM ${BASE}
COPY --from=build /opt/lookalike /opt/lookalike
# What is compiled for the processor, and collections: all are volumes. 65532 is "nonroot".
# KubeRay may start `ray` by a login shell, which sets PATH anew.
RUN install --directory --owner=65532 --group=65532 \
      /var/lib/lookalike /var/lib/lookalike-replicas /var/cache/lookalike \
    && ln -s /opt/lookalike/bin/ray /usr/local/bin/ray
ENV PATH=/opt/lookalike/bin:$PATH \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1 \
    NUMBA_CACHE_DIR=/var/cache/lookalike \
    LOOKALIKE_SEARCH_HOST=0.0.0.0 \
    LOOKALIKE_SEARCH_DATA=/var/lib/lookalike
USER 65532:65532
EXPOSE 50051 9101 8081
ENTRYPOINT ["python", "-m", "search_service"]
