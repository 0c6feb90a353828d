"""Command line and desktop window: the only package that parses arguments or imports Qt."""
