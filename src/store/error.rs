//! What a caller of a store can react to.

use super::Key;
use crate::wording::os;
use std::{error::Error, io, sync::Arc};

/// A cause from a library, kept for the log.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why a store did not do what it was asked.
///
/// Nothing here tells that a write was *not* applied unless the variant says so: see [`StoreError::may_have_applied`].
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such object.
    #[error("Objekt {0} fehlt")]
    Missing(Key),
    /// The object exists with other bytes than those to be published: a damaged object or a mistake in our names.
    #[error("Objekt {0} ist schon vorhanden und hat einen anderen Inhalt")]
    Occupied(Key),
    /// The operating system or the server refused; `source` says why. The object was not written.
    #[error("{object}: {action} misslungen: {}", os(source))]
    Io {
        /// What was to be done, in German, such as `schreiben`.
        action: &'static str,
        /// The object's name, or where the store was working.
        object: String,
        /// The refusal.
        source: io::Error,
    },
    /// A sync failed, now or earlier: what the disk holds is unknown, so nothing is written until the store is opened again.
    #[error(
        "Der Speicher nimmt bis zum Neustart nichts mehr an, weil Daten nicht gesichert werden konnten ({cause})"
    )]
    SyncFailed {
        /// The first failure.
        cause: Arc<str>,
    },
    /// The answer to a write was lost: it may have been applied, or may yet be.
    #[error("{object}: {action} ohne Antwort, Ausgang unbekannt")]
    Doubt {
        /// What was to be done, in German.
        action: &'static str,
        /// The object's name.
        object: String,
        /// What went wrong.
        source: Cause,
    },
    /// The store cannot be reached or cannot answer now. A write was not applied.
    #[error("{object}: {action} nicht möglich, der Objektspeicher ist nicht erreichbar")]
    Unavailable {
        /// What was to be done, in German.
        action: &'static str,
        /// The object's name.
        object: String,
        /// What went wrong.
        source: Cause,
    },
    /// The object is larger than what is read at once.
    #[error("Objekt {key} ist mit {size_bytes} Byte zu groß (höchstens {limit_bytes})")]
    TooLarge {
        /// The object.
        key: Key,
        /// Its length.
        size_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// The range is empty or begins behind the object's end.
    #[error("Objekt {key} hat keinen Bereich {start}-{end}")]
    OutOfRange {
        /// The object.
        key: Key,
        /// First byte asked for.
        start: u64,
        /// The byte after the last one asked for.
        end: u64,
    },
    /// The settings cannot work.
    #[error("{0}")]
    Configuration(String),
    /// The server ignores `If-None-Match`: two writers could both win the same place in the journal.
    #[error(
        "{place}: Der Objektspeicher beachtet „If-None-Match: *“ nicht und überschreibt vorhandene Objekte. \
         Damit ist das Journal nicht sicher; bitte einen Speicher mit bedingten Schreibzugriffen verwenden."
    )]
    NotHonoured {
        /// The bucket's URL.
        place: String,
    },
    /// Nothing was ever created here.
    #[error(
        "In {place} liegt kein eakte-Speicher. Ist der Pfad richtig? Ein neuer entsteht mit „eakte create“."
    )]
    NoStore {
        /// The directory or URL.
        place: String,
    },
    /// A store is created in an empty place only.
    #[error("{place} ist nicht leer; ein neuer Speicher entsteht nur an einem leeren Ort.")]
    NotEmpty {
        /// The directory or URL.
        place: String,
    },
    /// The marker object is not one this version can read.
    #[error("{place}: Das Format des Speichers ist dieser Version unbekannt ({found}).")]
    UnknownFormat {
        /// The directory or URL.
        place: String,
        /// What the marker says.
        found: String,
    },
    /// Another process works on this directory.
    #[error(
        "{place} wird bereits von einem anderen eakte-Prozess benutzt (mit „--server“ arbeiten oder ihn beenden)."
    )]
    Held {
        /// The directory.
        place: String,
    },
}

impl StoreError {
    /// Whether the write that got this answer may stand nevertheless, so that the caller must read back.
    pub fn may_have_applied(&self) -> bool {
        matches!(self, Self::Doubt { .. } | Self::SyncFailed { .. })
    }

    /// An [`StoreError::Io`] about staging: for a failed `write` to a [`Staging`](super::Staging).
    pub fn staging(source: io::Error) -> Self {
        Self::Io { action: "zwischenspeichern", object: "Eingang".to_owned(), source }
    }

    pub(super) fn io(action: &'static str, object: impl std::fmt::Display, source: io::Error) -> Self {
        Self::Io { action, object: object.to_string(), source }
    }

    /// The refusal of every write to a store that was opened for reading only.
    pub(super) fn opened_to_read(place: impl std::fmt::Display) -> Self {
        let refusal = io::Error::new(io::ErrorKind::Unsupported, "nur zum Lesen geöffnet");
        Self::io(super::WRITE, place, refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_action_the_object_and_the_reason() {
        for (number, expected) in [
            (28, "t/a/e/00/x: schreiben misslungen: der Datenträger ist voll"),
            (5, "t/a/e/00/x: schreiben misslungen: Ein-/Ausgabefehler des Datenträgers"),
            (13, "t/a/e/00/x: schreiben misslungen: keine Berechtigung"),
        ] {
            let error = StoreError::io("schreiben", "t/a/e/00/x", io::Error::from_raw_os_error(number));
            assert_eq!(error.to_string(), expected);
            assert!(!error.may_have_applied());
        }
    }
}
