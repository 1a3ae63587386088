"""gunicorn's settings: it listens on PORT and has WEB_CONCURRENCY workers by itself."""

worker_class = "gthread"
threads = 20
# Its heartbeat files need a place that can be written to: the slug cannot.
worker_tmp_dir = "/dev/shm"
# Longer than the router keeps an idle connection: the router closes first, so no request meets a closing worker.
keepalive = 120
graceful_timeout = 25
accesslog = None
