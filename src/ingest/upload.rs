//! One uploaded file on its way into a batch that somebody opened: every file gets its line.

use super::batch::OpenBatch;
use super::intake::{Declared, Intake, IntakeError, Reading};
use super::run::{Arriving, FileStatus, takes};
use crate::domain::codes::Rejection;
use crate::domain::decision::Refusal;
use crate::domain::document::Arrival;
use crate::domain::event::{Context, RejectedFile};
use crate::domain::finding::Finding;
use crate::domain::{BatchId, CaseFileId};
use std::io::Read;

#[expect(clippy::too_many_arguments, reason = "the arguments of `Intake::receive` and the batch")]
/// Takes one file into a batch and writes its line. What its case file does not take waits in the inbox with a
/// finding, as in a run. A closed batch takes only what stands in it already: then nothing is written. `filing` is what
/// is odd about its filing so far; it becomes what is as of this upload.
///
/// # Errors
/// [`IntakeError`]; the file then has no line, unless it was [`Doubt`](crate::journal::AppendError::Doubt).
pub fn receive_in_batch(
    intake: &Intake,
    context: &Context,
    batch: BatchId,
    arrival: &Arrival,
    target: Option<CaseFileId>,
    filing: &mut Vec<Finding>,
    body: &mut dyn Read,
    declared: &Declared,
) -> Result<FileStatus, IntakeError> {
    let Some(row) = intake.catalogue.batch(batch)? else { return Err(Refusal::BatchClosed.into()) };
    let lines = OpenBatch::resume(intake, context, &row, batch);
    let shown = arrival.source_path.clone().unwrap_or_else(|| arrival.source_name.clone());
    let arrival = Arrival { source_path: Some(shown.clone()), batch: Some(batch), ..arrival.clone() };
    let reject = |rejection| {
        lines.reject(&shown, None, rejection, None)?;
        Ok(FileStatus::Rejected(rejection, None))
    };
    let status = match takes(intake, &arrival, target)? {
        Err(rejection) => reject(rejection),
        Ok(closed) => match intake.read(body)? {
            Reading::TooLarge => reject(Rejection::TooLarge),
            Reading::Whole(received) => {
                let file = Arriving { arrival, target, closed, declared };
                file.settle(intake, context, &lines, &shown, &received, filing)
            }
        },
    };
    let status = status?;
    lines.pause()?;
    Ok(status)
}

/// Writes lines for files that their sender could not send. Lines that stand there already are not written again.
///
/// # Errors
/// [`IntakeError`]; a closed batch takes no new lines.
pub fn reject_in_batch(
    intake: &Intake,
    context: &Context,
    batch: BatchId,
    files: Vec<RejectedFile>,
) -> Result<(), IntakeError> {
    let Some(row) = intake.catalogue.batch(batch)? else { return Err(Refusal::BatchClosed.into()) };
    let lines = OpenBatch::resume(intake, context, &row, batch);
    for file in files {
        lines.reject(&file.path, file.size, file.rejection, file.detail)?;
    }
    lines.pause()
}
