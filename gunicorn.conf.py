"""How gunicorn serves Carrel: it reads this file by itself from the folder it is started in.

Where it listens comes from PORT (all addresses), else it is 127.0.0.1:8000. GUNICORN_CMD_ARGS
and options of the command line come before what stands here.
"""

import os

from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# It writes to the same log, in the same form.
logconfig_dict = settings.LOGGING

# Pages of the admin keep the request on objects that all threads would share.
worker_class = "sync"
workers = int(os.environ.get("WEB_CONCURRENCY") or 2)

# An export to a reader of slow lines, or the check of a large import, may take its time.
timeout = 60
# Who is told to stop finishes what is under way.
graceful_timeout = 30
# Workers show that they live by touching a file, which must not wait for a disk.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108

# Whether a request came by TLS is decided in one place, by BEHIND_PROXY, and where it came from by
# TRUSTED_PROXIES. Else what any client sends through a proxy on this machine would be believed.
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""

# It would lie in the home folder, for all sites of that user.
control_socket_disable = True
