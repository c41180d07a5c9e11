"""Where logs are kept, each behind the `Store` port."""
