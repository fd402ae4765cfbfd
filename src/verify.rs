//! Prüfung: compares objects, journal and projections.
