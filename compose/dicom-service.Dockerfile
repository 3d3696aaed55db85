# The DICOM service alone. The build context is a tar of what is named here (docs/dicom-service.md has the command): a
# checkout with its caches would be gigabytes. A folder `wheels` in it serves networks whose certificates a container
# does not know; with it, --build-arg PIP_NO_INDEX=1.
ARG BASE=debian:trixie-slim
FROM ${BASE} AS build
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates python3 python3-venv
COPY . /source
ARG PIP_NO_INDEX
RUN python3 -m venv /opt/venv \
 && PIP_FIND_LINKS=/source/wheels PIP_CONSTRAINT=/source/constraints.txt \
    /opt/venv/bin/pip install --no-cache-dir "/source[dicom-service]" \
 && /opt/venv/bin/pip uninstall --yes pip \
 && /opt/venv/bin/python -m compileall -q /opt/venv/lib

FROM ${BASE}
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates python3 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --user-group --home-dir /data --no-create-home dicom \
 && install -d -o dicom -g dicom -m 0750 /data
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER dicom
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
    CMD ["python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/health/check', timeout=4)"]
# Options after the image's name take the place of --no-auth: `--authority ...` instead, or what else is wanted beside it.
ENTRYPOINT ["dicom-service", "serve", "--host", "0.0.0.0", "--port", "8080", "--data", "/data"]
CMD ["--no-auth"]
