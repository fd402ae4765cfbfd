//! Sicherung: copies of the store, and the way back.
