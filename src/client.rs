//! The same commands against a running server.
