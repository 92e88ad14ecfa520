"""The page: trained runs behind a local web server."""
