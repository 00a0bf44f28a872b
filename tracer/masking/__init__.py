"""Masking: secrets are taken out of a record once, before any destination sees it."""
