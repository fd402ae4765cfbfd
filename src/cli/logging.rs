//! Log lines go to stderr; they hold ids, never names or text of documents.

use super::failure::Failure;
use crate::config::{Log, LogFormat};
use tracing_subscriber::EnvFilter;

/// Starts logging; `usual` is the level when nobody asks for another.
pub(super) fn start(log: &Log, usual: &str) -> Result<(), Failure> {
    let level = log.level.map_or(usual, |level| level.word());
    let filter = EnvFilter::try_new(format!("warn,eakte={level}")).map_err(|error| {
        Failure::usage(format!("Die Stufe der Meldungen ist nicht verständlich ({error})."))
    })?;
    let lines =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    // A second start in one process (tests) keeps the first.
    let _ = match log.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    Ok(())
}
