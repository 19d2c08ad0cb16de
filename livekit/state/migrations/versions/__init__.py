"""One module per revision; each is applied in one transaction."""
