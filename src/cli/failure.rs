//! How a command ends.

use crate::archive::{Error, Kind};
use crate::config::ConfigError;
use crate::ingest::manifest::ManifestError;
use crate::store::StoreError;
use std::error::Error as _;
use std::io::Write as _;
use std::process::ExitCode;

/// What scripts can rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done.
    Done,
    /// Findings, or not everything could be done.
    Findings,
    /// The command line makes no sense.
    Usage,
    /// Not allowed, or it contradicts what is recorded.
    Refused,
    /// Not now.
    Unavailable,
}

impl Exit {
    pub(super) fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Done => 0,
            Self::Findings => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Unavailable => 4,
        })
    }
}

/// Why a command could not do what it was asked.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    /// One or two sentences: what, which thing, the way out.
    text: String,
}

impl Failure {
    pub(super) fn usage(text: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, text: text.into() }
    }

    pub(super) fn refused(text: impl Into<String>) -> Self {
        Self { exit: Exit::Refused, text: text.into() }
    }

    /// Stored data is not what it should be.
    pub(super) fn damaged(text: impl Into<String>) -> Self {
        Self { exit: Exit::Findings, text: text.into() }
    }

    pub(super) fn unavailable(text: impl Into<String>) -> Self {
        Self { exit: Exit::Unavailable, text: text.into() }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Tells the person at the terminal.
    pub(super) fn tell(&self) {
        // Without stderr there is nobody left to tell.
        let _ = writeln!(std::io::stderr().lock(), "eakte: {}", self.text);
    }
}

/// The table of exit codes.
fn exit(kind: Kind) -> Exit {
    match kind {
        Kind::Invalid => Exit::Usage,
        Kind::Unauthenticated
        | Kind::Forbidden
        | Kind::Missing
        | Kind::Conflict
        | Kind::Changed
        | Kind::TooLarge => Exit::Refused,
        Kind::Damaged => Exit::Findings,
        Kind::Doubt | Kind::Unavailable | Kind::ReadOnly | Kind::Internal => Exit::Unavailable,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if let Some(cause) = error.source() {
            tracing::debug!(kind = ?error.kind, ?cause, "the command failed");
        }
        Self { exit: exit(error.kind), text: error.public }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Error::from(error).into()
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<ManifestError> for Failure {
    fn from(error: ManifestError) -> Self {
        Self::usage(error.to_string())
    }
}
