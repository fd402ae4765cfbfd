//! The batch of a run: opened when the first line is to be written, resumed after an interruption.

use super::intake::{Accepted, Intake, IntakeError};
use crate::catalogue::BatchRow;
use crate::clock::new_id;
use crate::domain::batch::Batch;
use crate::domain::codes::{LineStatus, Rejection};
use crate::domain::decision::{Decision, Refusal};
use crate::domain::event::{BatchOpened, Context, RejectedFile};
use crate::domain::guard::{Guard, UniqueKey};
use crate::domain::{BatchId, CaseFileId, Digest, DocumentId};
use crate::journal::{AppendError, Command, Projection as _};
use std::sync::{Mutex, PoisonError};

/// What is known of a batch before its first file: the facts of its capture.
pub type BatchFacts = BatchOpened;

/// Most rejected files in one event.
const LINES_PER_EVENT: usize = 200;

/// The batch that a run writes its lines to.
pub(super) struct OpenBatch<'a> {
    intake: &'a Intake,
    context: &'a Context,
    facts: &'a BatchFacts,
    /// Batches of the same name that were closed: what stands in them is not recorded again.
    closed: Vec<BatchId>,
    /// Whether no other batch may be opened: what would be new is refused.
    is_sealed: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    id: Option<BatchId>,
    /// An opening with an unknown outcome: the next attempt is the same one, so that no batch stays behind empty.
    doubtful: Option<(BatchId, u32)>,
    rejected: Vec<RejectedFile>,
}

impl<'a> OpenBatch<'a> {
    /// Looks for an unfinished batch of this name.
    pub(super) fn find(
        intake: &'a Intake,
        context: &'a Context,
        facts: &'a BatchFacts,
    ) -> Result<Self, IntakeError> {
        let (mut closed, mut open) = (Vec::new(), None);
        for number in 1_u32.. {
            let key = UniqueKey::batch(&numbered(&facts.name, number));
            let Some(owner) = intake.catalogue.owner(&key)? else { break };
            let id = BatchId::from_uuid(owner.id);
            match intake.catalogue.batch(id)? {
                Some(row) if row.closed.is_none() => open = Some(id),
                _ => closed.push(id),
            }
        }
        let state = Mutex::new(State { id: open, ..State::default() });
        Ok(Self { intake, context, facts, closed, is_sealed: false, state })
    }

    /// A batch that is known. If it is closed, what stands in it may be sent again, and anything else is refused.
    pub(super) fn resume(intake: &'a Intake, context: &'a Context, row: &'a BatchRow, id: BatchId) -> Self {
        let is_sealed = row.closed.is_some();
        let (closed, open) = if is_sealed { (vec![id], None) } else { (Vec::new(), Some(id)) };
        let state = Mutex::new(State { id: open, rejected: Vec::new(), doubtful: None });
        Self { intake, context, facts: &row.data, closed, is_sealed, state }
    }

    /// The batch's id, if it has been opened.
    pub(super) fn opened(&self) -> Option<BatchId> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).id
    }

    /// The batch's id; opens it if need be.
    pub(super) fn id(&self) -> Result<BatchId, IntakeError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.open(&mut state)
    }

    fn open(&self, state: &mut State) -> Result<BatchId, IntakeError> {
        if let Some(id) = state.id {
            return Ok(id);
        }
        if self.is_sealed {
            return Err(Refusal::BatchClosed.into());
        }
        let new = || BatchId::from_uuid(new_id(&*self.intake.clock, &*self.intake.entropy));
        let first = u32::try_from(self.closed.len()).unwrap_or(u32::MAX).saturating_add(1);
        let (mut id, mut number) = state.doubtful.take().unwrap_or_else(|| (new(), first));
        loop {
            let mut data = BatchOpened { name: numbered(&self.facts.name, number), ..self.facts.clone() };
            if number > 1 && self.is_counted()? {
                (data.sheets_expected, data.pages_expected) = (None, None);
            }
            let decision = Decision { guards: Vec::new(), events: vec![Batch::open(id, data)] };
            match self.intake.journal.append(Command::record(self.context.clone(), decision)) {
                Ok(_) => {
                    state.id = Some(id);
                    return Ok(id);
                }
                Err(AppendError::Taken { owner, .. }) if owner == id.into() => {
                    state.id = Some(id);
                    return Ok(id);
                }
                // Another run of the same name was faster: it has its own batch.
                Err(AppendError::Taken { .. }) => (id, number) = (new(), number.saturating_add(1)),
                Err(error) => {
                    if matches!(error, AppendError::Doubt) {
                        state.doubtful = Some((id, number));
                    }
                    return Err(error.into());
                }
            }
        }
    }

    /// Whether an earlier batch of this name has the same count: it was for the whole box, not for what came later.
    fn is_counted(&self) -> Result<bool, IntakeError> {
        for batch in &self.closed {
            let row = self.intake.catalogue.batch(*batch)?;
            let count = row.map(|row| (row.data.sheets_expected, row.data.pages_expected));
            if count == Some((self.facts.sheets_expected, self.facts.pages_expected)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What is already recorded of a file, in this batch or in closed ones of its name.
    fn line(&self, path: &str) -> Result<Option<(LineStatus, Option<DocumentId>)>, IntakeError> {
        for batch in self.opened().iter().chain(&self.closed) {
            if let Some(line) = self.intake.catalogue.line(*batch, path)? {
                return Ok(Some((line.status, line.document)));
            }
        }
        Ok(None)
    }

    /// The document that this file became in an earlier run, if it has been filed elsewhere since: its bytes no longer
    /// are where they would be taken for a duplicate. `targets` are the places where the file would go now.
    pub(super) fn filed_since(
        &self,
        path: &str,
        sha256: &Digest,
        targets: [Option<CaseFileId>; 2],
    ) -> Result<Option<Accepted>, IntakeError> {
        let Some((LineStatus::Received | LineStatus::Duplicate, Some(id))) = self.line(path)? else {
            return Ok(None);
        };
        let Some(row) = self.intake.catalogue.document(id)? else { return Ok(None) };
        let arrived_in = row.received.case_file;
        let is_elsewhere = targets.contains(&arrived_in) && row.case_file != arrived_in;
        let first = row.versions.first().filter(|first| is_elsewhere && first.original.sha256 == *sha256);
        Ok(first.map(|first| Accepted::version(id, first)))
    }

    /// Records that a file's bytes were already there; nothing if that, or more, is recorded.
    pub(super) fn duplicate(&self, path: &str, document: DocumentId) -> Result<(), IntakeError> {
        if let Some((LineStatus::Received | LineStatus::Duplicate, Some(known))) = self.line(path)?
            && known == document
        {
            return Ok(());
        }
        let batch = self.id()?;
        let Some(row) = self.intake.catalogue.document(document)? else { return Ok(()) };
        let life = self.intake.catalogue.life(document.into())?.unwrap_or_default();
        let decision = Decision {
            guards: vec![Guard::Epoch(document.into(), life.epoch)],
            events: vec![row.state(document).arrived_again(batch, path)],
        };
        self.intake.journal.append(Command::record(self.context.clone(), decision))?;
        Ok(())
    }

    /// Records that a file was not stored; nothing if that is recorded already.
    pub(super) fn reject(
        &self,
        path: &str,
        size: Option<u64>,
        rejection: Rejection,
        detail: Option<String>,
    ) -> Result<(), IntakeError> {
        if matches!(self.line(path)?, Some((LineStatus::Rejected, _))) {
            return Ok(());
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let file = RejectedFile { path: path.to_owned(), size, rejection, detail };
        state.rejected.push(file);
        if state.rejected.len() >= LINES_PER_EVENT { self.flush(&mut state) } else { Ok(()) }
    }

    fn flush(&self, state: &mut State) -> Result<(), IntakeError> {
        if state.rejected.is_empty() {
            return Ok(());
        }
        let id = self.open(state)?;
        let Some(row) = self.intake.catalogue.batch(id)? else { return Ok(()) };
        let life = self.intake.catalogue.life(id.into())?.unwrap_or_default();
        let decision = Decision {
            guards: vec![Guard::Epoch(id.into(), life.epoch)],
            events: vec![row.state(id).reject(state.rejected.clone())?],
        };
        self.intake.journal.append(Command::record(self.context.clone(), decision))?;
        state.rejected.clear();
        Ok(())
    }

    /// Closes the batch; nothing if none was opened, which means that nothing was new. `seen` counts the files seen,
    /// given the batch and whether it is the first of its name.
    pub(super) fn close(
        &self,
        seen: &dyn Fn(BatchId, bool) -> Result<u64, IntakeError>,
    ) -> Result<(), IntakeError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.flush(&mut state)?;
        let Some(id) = state.id else { return Ok(()) };
        let seen = seen(id, self.closed.is_empty())?;
        let Some(row) = self.intake.catalogue.batch(id)? else { return Ok(()) };
        let life = self.intake.catalogue.life(id.into())?.unwrap_or_default();
        let decision = Decision {
            guards: vec![Guard::Epoch(id.into(), life.epoch)],
            events: vec![row.state(id).close(seen, row.counts())?],
        };
        self.intake.journal.append(Command::record(self.context.clone(), decision))?;
        Ok(())
    }

    /// Writes what is still to be written, without closing.
    pub(super) fn pause(&self) -> Result<(), IntakeError> {
        self.flush(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn numbered(name: &str, number: u32) -> String {
    if number == 1 { name.to_owned() } else { format!("{name} ({number})") }
}
