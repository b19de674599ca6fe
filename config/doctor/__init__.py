"""An examination of the whole site: what is set up, what is missing, what is unhealthy."""
