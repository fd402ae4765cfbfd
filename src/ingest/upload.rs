//! One uploaded file on its way into a batch that somebody opened: every file gets its line.

use super::batch::OpenBatch;
use super::intake::{Declared, Intake, IntakeError, Outcome, Reading};
use super::run::FileStatus;
use crate::domain::decision::Refusal;
use crate::domain::document::Arrival;
use crate::domain::event::Context;
use crate::domain::finding::{Finding, FindingCode};
use crate::domain::{BatchId, CaseFileId};
use std::io::Read;

#[expect(clippy::too_many_arguments, reason = "the arguments of `Intake::receive` and the batch")]
/// Takes one file into an open batch and writes its line. What its case file does not take waits in the inbox
/// with a finding, as in a run.
///
/// # Errors
/// [`IntakeError`]; the file then has no line, unless it was [`Doubt`](crate::journal::AppendError::Doubt).
pub fn receive_in_batch(
    intake: &Intake,
    context: &Context,
    batch: BatchId,
    arrival: &Arrival,
    target: Option<CaseFileId>,
    findings: &[Finding],
    body: &mut dyn Read,
    declared: &Declared,
) -> Result<FileStatus, IntakeError> {
    let Some(row) = intake.catalogue.batch(batch)?.filter(|row| row.closed.is_none()) else {
        return Err(Refusal::BatchClosed.into());
    };
    let lines = OpenBatch::resume(intake, context, &row.data, batch);
    let shown = arrival.source_path.clone().unwrap_or_else(|| arrival.source_name.clone());
    let arrival = Arrival { source_path: Some(shown.clone()), batch: Some(batch), ..arrival.clone() };
    let reject = |rejection, size, detail: Option<String>| {
        lines.reject(&shown, size, rejection, detail.clone())?;
        lines.pause()?;
        Ok(FileStatus::Rejected(rejection, detail))
    };
    let wanted = target;
    let (mut target, mut findings) = (target, findings.to_vec());
    match intake.check(&arrival, target) {
        Ok(None) => {}
        Ok(Some(rejection)) => return reject(rejection, None, None),
        Err(
            IntakeError::Refused(Refusal::Closed(_) | Refusal::PaperOnly(_)) | IntakeError::NoCaseFile(_),
        ) => {
            target = None;
            findings.push(Finding { code: FindingCode::Unfiled, page: None, detail: None });
        }
        Err(error) => return Err(error),
    }
    let received = match intake.read(body)? {
        Reading::Whole(received) => received,
        Reading::TooLarge => return reject(crate::domain::codes::Rejection::TooLarge, None, None),
    };
    if let Some(rejection) = received.judge(declared) {
        return reject(rejection, Some(received.staged.size_bytes()), None);
    }
    if let Some(accepted) = lines.filed_since(&shown, &received.staged.digest(), [wanted, target])? {
        return Ok(FileStatus::Duplicate(accepted));
    }
    match intake.file(context, &arrival, target, &findings, &received, &|| Ok(Some(batch)))? {
        Outcome::Received(accepted) => Ok(FileStatus::Received(accepted)),
        Outcome::Duplicate(accepted) => {
            lines.duplicate(&shown, accepted.document)?;
            Ok(FileStatus::Duplicate(accepted))
        }
        Outcome::Rejected { rejection, size, detail } => reject(rejection, size, detail),
    }
}
