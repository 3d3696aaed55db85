# Locust with the project's load users: a master or a worker, by its command.
FROM python:3.13-slim
WORKDIR /load
COPY pyproject.toml constraints.txt README.md ./
COPY fixtures ./fixtures
RUN pip install --no-cache-dir --constraint constraints.txt ".[suites]" \
 && useradd --system --uid 10001 load
ENV PYTHONPATH=/load PYTHONUNBUFFERED=1
USER load
ENTRYPOINT ["locust", "--locustfile", "fixtures/load/locustfile.py"]
