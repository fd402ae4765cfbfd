//! A running server: HTTP, hot folders, shutdown.
