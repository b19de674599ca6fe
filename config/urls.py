"""Every address of the site."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("admin/desk/", include("circulation.desk_urls")),
    path("admin/money/", include("billing.till.urls")),
    path("admin/", admin.site.urls),
    path("", include("billing.urls")),
    path("", include("alerts.urls")),
    path("api/", include("config.api")),
]
