"""What gunicorn reads besides its command line: it writes to the same log, in the same form."""

import os

from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
logconfig_dict = settings.LOGGING
