"""The addresses of the Desk, under /admin/desk/."""

from django.contrib import admin
from django.urls import path

from circulation import desk_views

urlpatterns = [
    path("", admin.site.admin_view(desk_views.page), name="desk"),
    path("scan/", desk_views.scan, name="desk_scan"),
    path("lend/", desk_views.lend, name="desk_lend"),
    path("renew/", desk_views.renew, name="desk_renew"),
    path("undo/", desk_views.undo_last, name="desk_undo"),
    path("reader/", desk_views.show_reader, name="desk_reader"),
    path("books/", desk_views.find_books, name="desk_books"),
    path("copy/", desk_views.add_copy, name="desk_add_copy"),
]
