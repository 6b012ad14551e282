"""What is seen over HTTP: health and metrics now, portal and API later."""
