"""Models, each behind the `Model` port."""
