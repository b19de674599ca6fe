"""The pages that letters about an account lead to."""

from django.urls import path

from circulation import account_pages

urlpatterns = [
    path("password/<str:uid>/<str:token>/", account_pages.reset_password, name="reset-password"),
    path("verify/<str:token>/", account_pages.confirm_email, name="confirm-email"),
]
