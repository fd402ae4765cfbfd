//! The HTTP API: parse, call the façade, present.
