//! Hot folders (Eingangsordner): watched while the server runs.
