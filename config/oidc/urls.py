"""Where staff sign in through the provider; the second address is registered with it."""

from django.urls import path

from config.oidc import sign_in

urlpatterns = [
    path("", sign_in.Start.as_view(), name="oidc-start"),
    path("callback/", sign_in.Callback.as_view(), name=sign_in.CALLBACK),
]
