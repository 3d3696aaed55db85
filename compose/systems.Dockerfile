# The reference systems: dicom-service, dicom-router, entra-id, fault-link.
# The wheels are downloaded on the host (a build container does not know the host's certificate authorities).
ARG BASE=debian:trixie-slim
FROM ${BASE}
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates python3 python3-venv \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --user-group --home-dir /conformance --no-create-home conformance \
 && install -d -o conformance -g conformance /conformance /conformance/config /conformance/data
COPY wheels /tmp/wheels
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --no-index --no-deps /tmp/wheels/*.whl
# A change of our own source renews only what follows.
COPY app /tmp/app
RUN /opt/venv/bin/pip install --no-cache-dir --no-index --no-deps /tmp/app/*.whl
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER conformance
WORKDIR /conformance
