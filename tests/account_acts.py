"""What people do to accounts at the same moment, for tests.race."""

from rest_framework.test import APIClient

from circulation import accounts


def refresh(token: str) -> str:
    answer = APIClient().post("/api/users/token/refresh/", {"refresh": token})
    return "renewed" if answer.status_code == 200 else str(answer.status_code)


def reset_password(uid: str, token: str, password: str) -> str:
    try:
        accounts.reset_password(uid, token, password)
    except accounts.BadLinkError as bad:
        return f"refused: {type(bad).__name__}"
    return "set"


def register(email: str) -> str:
    data = {"email": email, "password": "Solaris 1961!"}
    return str(APIClient().post("/api/users/", data).status_code)


ACTS = (refresh, register, reset_password)
