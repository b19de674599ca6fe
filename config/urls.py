"""Every address of the site."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from config.oidc import provider

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("admin/desk/", include("circulation.desk_urls")),
    path("admin/money/", include("billing.till.urls")),
    *([path("admin/sign-in/", include("config.oidc.urls"))] if provider.signs_in_staff() else []),
    path("admin/", admin.site.urls),
    path("account/", include("circulation.account_urls")),
    path("", include("billing.urls")),
    path("", include("alerts.urls")),
    path("api/", include("config.api")),
]
handler400 = "config.rest.unhandled.bad_request"
handler404 = "config.rest.unhandled.not_found"
handler500 = "config.rest.unhandled.server_error"
