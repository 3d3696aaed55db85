# The viewer: the systems' image and a prepared OHIF (python3 -m tools.viewer), files only.
ARG BASE=imaging-conformance/systems
FROM ${BASE}
COPY viewer /opt/viewer
