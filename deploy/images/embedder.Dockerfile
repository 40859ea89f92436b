# The embedder. VARIANT is cpu (OpenVINO and torch) or cuda (torch with CUDA's libraries).
#
#     docker build --file deploy/images/embedder.Dockerfile --build-arg VARIANT=cuda \
#       --tag lookalike/embedder:0.1.0-cuda .
#
# BASE is any Debian with a python3 of 3.11 or newer and its venv module; name it by digest
# where builds must repeat. The secret `pip`, a pip.conf, names another package index.
# TORCH_INDEX_CPU is where the builds of torch without CUDA are, a tenth of the size; empty
# takes those of the package index.
# checkov:skip=CKV_DOCKER_7: BASE has a tag; the check does not look through the argument
# checkov:skip=CKV_DOCKER_2: Kubernetes and OCI know no HEALTHCHECK; compose.yaml and the chart have probes
ARG BASE=docker.io/library/python:3.13-slim-bookworm

FROM ${BASE} AS build
ARG VARIANT=cpu
ARG TORCH_INDEX_CPU=https://download.pytorch.org/whl/cpu
# Libraries of further models, such as timm or onnx: extras of the package, separated by commas.
ARG EXTRAS=embedder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python3 -m venv /opt/lookalike
COPY deploy/constraints.txt deploy/constraints.txt
# Before the sources: this layer has the gigabytes.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    case "${VARIANT}" in \
      cpu) set -- ${TORCH_INDEX_CPU:+--index-url "${TORCH_INDEX_CPU}"} ;; \
      cuda) set -- ;; \
      *) echo "VARIANT is cpu or cuda, not ${VARIANT}" >&2; exit 1 ;; \
    esac; \
    /opt/lookalike/bin/pip install --quiet --constraint deploy/constraints.txt "$@" torch torchvision
COPY . .
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    /opt/lookalike/bin/pip install --quiet --constraint deploy/constraints.txt ".[tracing,${EXTRAS}]" \
    && /opt/lookalike/bin/pip uninstall --quiet --yes pip

FROM ${BASE}
COPY --from=build /opt/lookalike /opt/lookalike
# Converted models, and weights that libraries fetch, are kept in the cache, a volume. 65532 is "nonroot".
RUN install --directory --owner=65532 --group=65532 /var/cache/lookalike
ENV PATH=/opt/lookalike/bin:$PATH \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1 \
    HOME=/var/cache/lookalike \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    LOOKALIKE_EMBEDDER_HOST=0.0.0.0 \
    LOOKALIKE_EMBEDDER_CACHE_DIR=/var/cache/lookalike
USER 65532:65532
EXPOSE 50052 9102 8082
ENTRYPOINT ["python", "-m", "embedder_service"]
