"""Takes the pages of API tokens out of the admin: they show tokens that can be used."""

from django.contrib import admin
from rest_framework_simplejwt.token_blacklist import admin as removed  # noqa: F401 - registers them
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

admin.site.unregister((OutstandingToken, BlacklistedToken))
