"""Every address of the site."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from circulation import reader_page_views
from config import audit_page, palette, set_up
from config.oidc import provider

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("admin/desk/", include("circulation.desk_urls")),
    path(
        "admin/money/account/<int:pk>/",
        admin.site.admin_view(reader_page_views.account),
        name="billing-account",
    ),
    path("admin/money/", include("billing.till.urls")),
    *([path("admin/sign-in/", include("config.oidc.urls"))] if provider.signs_in_staff() else []),
    path("admin/search/", admin.site.admin_view(palette.page), name="palette"),
    path("admin/set-up/", admin.site.admin_view(set_up.page), name="set-up"),
    path("admin/history/", admin.site.admin_view(audit_page.page), name="history"),
    path("admin/reports/", include("circulation.reports.urls")),
    path("admin/print/", include("circulation.printing.urls")),
    path("admin/", admin.site.urls),
    path("account/", include("circulation.account_urls")),
    path("", include("billing.urls")),
    path("", include("alerts.urls")),
    path("api/", include("config.api")),
]
handler400 = "config.rest.unhandled.bad_request"
handler403 = "config.error_pages.forbidden"
handler404 = "config.rest.unhandled.not_found"
handler500 = "config.rest.unhandled.server_error"
