//! What callers of the façade can react to.

use crate::catalogue::CatalogueError;
use crate::domain::decision::Refusal;
use crate::ingest::IntakeError;
use crate::journal::{AppendError, JournalError, ProjectionError};
use crate::project::ProjectError;
use crate::search::{IndexError, OpenError};
use crate::store::StoreError;
use crate::wording::os;
use std::{error, fmt, io};

/// A closed list of what can go wrong. One table turns it into an HTTP status, one into an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request makes no sense.
    Invalid,
    /// Nobody, or nobody known, is asking.
    Unauthenticated,
    /// Not allowed.
    Forbidden,
    /// There is no such thing, or the asker may not know of it.
    Missing,
    /// It contradicts what is recorded.
    Conflict,
    /// It is no longer what the caller saw.
    Changed,
    /// Too large.
    TooLarge,
    /// Whether it was recorded is unknown.
    Doubt,
    /// Not now: the store is away, the queue is full, the disk is full.
    Unavailable,
    /// Nothing is written any more: alarm.
    ReadOnly,
    /// Stored data is damaged.
    Damaged,
    /// A fault of the program.
    Internal,
}

/// A failed use case: a kind to branch on, a sentence for people, a cause for the log.
#[derive(Debug)]
pub struct Error {
    /// What kind of failure.
    pub kind: Kind,
    /// For the person who asked; German.
    pub public: String,
    /// For the log.
    pub source: Option<Box<dyn error::Error + Send + Sync>>,
}

impl Error {
    /// A failure without a cause.
    pub fn new(kind: Kind, public: impl Into<String>) -> Self {
        Self { kind, public: public.into(), source: None }
    }

    /// A failure whose cause tells people enough.
    pub fn from_cause(kind: Kind, cause: impl error::Error + Send + Sync + 'static) -> Self {
        Self { kind, public: cause.to_string(), source: Some(Box::new(cause)) }
    }

    /// The operating system refused something that has no name of its own.
    pub fn from_os(refusal: io::Error) -> Self {
        let public = format!("Das Betriebssystem verweigert etwas Nötiges: {}.", os(&refusal));
        Self { kind: Kind::Unavailable, public, source: Some(Box::new(refusal)) }
    }

    /// There is no such thing.
    pub fn missing(what: &str) -> Self {
        Self::new(Kind::Missing, format!("{what} gibt es nicht."))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.public)
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}

fn store_kind(error: &StoreError) -> Kind {
    match error {
        StoreError::Missing(_) | StoreError::Occupied(_) | StoreError::TooLarge { .. } => Kind::Damaged,
        StoreError::SyncFailed { .. } => Kind::ReadOnly,
        StoreError::Doubt { .. } => Kind::Doubt,
        StoreError::OutOfRange { .. } | StoreError::Configuration(_) => Kind::Invalid,
        // Asked to create where something lies already.
        StoreError::NotEmpty { .. } => Kind::Conflict,
        StoreError::Io { .. }
        | StoreError::Unavailable { .. }
        | StoreError::NotHonoured { .. }
        | StoreError::NoStore { .. }
        | StoreError::UnknownFormat { .. }
        | StoreError::Held { .. } => Kind::Unavailable,
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::from_cause(store_kind(&error), error)
    }
}

impl From<JournalError> for Error {
    fn from(error: JournalError) -> Self {
        let kind = match &error {
            JournalError::Store(error) => store_kind(error),
            JournalError::Rollback { .. } => Kind::ReadOnly,
            _ => Kind::Damaged,
        };
        Self::from_cause(kind, error)
    }
}

impl From<AppendError> for Error {
    fn from(error: AppendError) -> Self {
        let kind = match &error {
            AppendError::Stale(_) | AppendError::Taken { .. } => Kind::Conflict,
            AppendError::TooMany(_) | AppendError::PayloadTooLarge => Kind::TooLarge,
            AppendError::Store(error) => store_kind(error),
            AppendError::ReadOnly(_) => Kind::ReadOnly,
            AppendError::Busy | AppendError::Closed | AppendError::Projection(_) => Kind::Unavailable,
            AppendError::Panicked => Kind::Internal,
            AppendError::Doubt => Kind::Doubt,
            AppendError::Journal(error) => match &**error {
                JournalError::Store(error) => store_kind(error),
                JournalError::Rollback { .. } => Kind::ReadOnly,
                _ => Kind::Damaged,
            },
        };
        Self::from_cause(kind, error)
    }
}

impl From<CatalogueError> for Error {
    fn from(error: CatalogueError) -> Self {
        Self::from_cause(Kind::Unavailable, error)
    }
}

impl From<ProjectionError> for Error {
    fn from(error: ProjectionError) -> Self {
        Self::from_cause(Kind::Unavailable, error)
    }
}

impl From<IndexError> for Error {
    fn from(error: IndexError) -> Self {
        Self {
            kind: Kind::Unavailable,
            public: "Das Suchverzeichnis ist gerade nicht lesbar.".to_owned(),
            source: Some(Box::new(error)),
        }
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        Self {
            kind: Kind::Unavailable,
            public: "Das Suchverzeichnis lässt sich nicht öffnen.".to_owned(),
            source: Some(Box::new(error)),
        }
    }
}

impl From<ProjectError> for Error {
    fn from(error: ProjectError) -> Self {
        match error {
            ProjectError::Catalogue(error) => error.into(),
            ProjectError::Projection(error) => error.into(),
            ProjectError::Index(error) => error.into(),
            ProjectError::Store(error) => error.into(),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal {
            Refusal::Closed(_) | Refusal::Kept(_) | Refusal::PaperOnly(_) | Refusal::BatchClosed => {
                Kind::Conflict
            }
            _ => Kind::Invalid,
        };
        Self::from_cause(kind, refusal)
    }
}

impl From<IntakeError> for Error {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::Refused(refusal) => refusal.into(),
            IntakeError::Store(error) => error.into(),
            IntakeError::Append(error) => error.into(),
            IntakeError::Catalogue(error) => error.into(),
            IntakeError::Projection(error) => error.into(),
            IntakeError::Journal(error) => error.into(),
            IntakeError::NoCaseFile(_) | IntakeError::NoDocument(_) => Self::from_cause(Kind::Missing, error),
            IntakeError::Changed => Self::from_cause(Kind::Changed, error),
            IntakeError::KeyReused | IntakeError::Overtaken(_) => Self::from_cause(Kind::Conflict, error),
            IntakeError::Body(_) => Self::from_cause(Kind::Invalid, error),
        }
    }
}
