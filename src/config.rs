//! Settings: defaults, then TOML, then `EAKTE_…` variables, then flags.
