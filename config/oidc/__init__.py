"""Sign-in through an OpenID Connect provider: tokens for the API, and staff in the admin."""
