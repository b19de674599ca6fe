"""The addresses of what is printed, under /admin/print/."""

from django.contrib import admin
from django.urls import path

from circulation.printing import cards, labels, letters, slips

urlpatterns = [
    path("labels/", admin.site.admin_view(labels.page), name="print-labels"),
    path("cards/", admin.site.admin_view(cards.page), name="print-cards"),
    path("slips/", admin.site.admin_view(slips.page), name="print-slips"),
    path("letters/", admin.site.admin_view(letters.page), name="print-letters"),
]
