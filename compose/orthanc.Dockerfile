# Orthanc with its DICOMweb plugin: the reference archive.
ARG BASE=debian:trixie-slim
FROM ${BASE}
RUN printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d \
 && chmod 755 /usr/sbin/policy-rc.d \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates orthanc orthanc-dicomweb \
 && rm -rf /var/lib/apt/lists/* /etc/orthanc \
 && useradd --system --uid 10001 --user-group --home-dir /conformance --no-create-home conformance \
 && install -d -o conformance -g conformance /conformance /conformance/config /conformance/data
ENV TCP_NODELAY=1 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
USER conformance
WORKDIR /conformance
