"""The address of unsubscribing; also without its trailing slash: a POST cannot be redirected."""

from django.urls import path

from alerts import pages

urlpatterns = [
    path("notices/unsubscribe/<str:token>/", pages.unsubscribe, name="unsubscribe"),
    path("notices/unsubscribe/<str:token>", pages.unsubscribe),
]
