"""What all admin pages share. It lives here because every other package may import the lowest."""
