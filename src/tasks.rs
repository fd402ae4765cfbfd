//! Blocking work off the async threads: bounded, and keeping the tracing span.
