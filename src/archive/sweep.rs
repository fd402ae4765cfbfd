//! Clean-up: objects that nothing names, left by a crash between the bytes and their commit, and late renditions
//! of what was destroyed.

use super::{Archive, Error, Installation, Kind};
use crate::domain::TenantSlug;
use crate::domain::decision::{Decision, NewEvent};
use crate::domain::event::{Actor, Context, Event, ObjectsSwept};
use crate::journal::{Command, payload};
use crate::store::Key;
use crate::verify::projections::Projections;
use crate::verify::{self, Depth, FaultKind, Subject, VerifyOptions};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// How long an object that nothing names is kept: its commit may be in doubt.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Names in one commit.
const NAMES_AT_ONCE: usize = 2_000;

impl Installation {
    /// Completes erasures that were cut off, then removes what nothing names for seven days, and what lies under the
    /// name of a destroyed owner. A commit names the objects first. Says how many were removed. Called at start and
    /// daily.
    ///
    /// # Errors
    /// [`Kind::Damaged`] when the journal cannot be read as a whole: then nobody knows what is named, and nothing
    /// is removed.
    pub fn sweep(&self, tenant: &TenantSlug, now: Timestamp) -> Result<u64, Error> {
        let archive = self.archive(tenant)?;
        archive.finish_erasures()?;
        archive.sweep(now)
    }
}

impl Archive {
    fn sweep(&self, now: Timestamp) -> Result<u64, Error> {
        let subject = Subject {
            store: &self.store,
            layout: &self.layout,
            projections: Projections::Ignored,
            scratch: &self.directory,
            now,
        };
        let survey = verify::verify(&subject, Depth::Names, &VerifyOptions::default(), &|_| {})?;
        if !survey.legible {
            let public = "Das Journal ist nicht vollständig lesbar; herrenlose Objekte bleiben deshalb liegen. \
                          Bitte „eakte verify“ ausführen.";
            return Err(Error::new(Kind::Damaged, public));
        }
        let before = now.saturating_sub(KEPT_FOR).map_or(i64::MIN, jiff::Timestamp::as_millisecond);
        let old = survey.strays.iter().filter(|(_, modified)| **modified <= before);
        let mut names: BTreeSet<String> = old.map(|(name, _)| name.clone()).collect();
        for fault in survey.report.findings {
            if fault.kind == FaultKind::ErasedPresent {
                let key: Option<Key> = fault.object.parse().ok();
                names.extend(key.and_then(|key| self.layout.local(&key).map(str::to_owned)));
            }
        }
        let names: Vec<String> = names.into_iter().collect();
        let mut swept = 0;
        for names in names.chunks(NAMES_AT_ONCE) {
            swept += self.sweep_these(names, survey.head)?;
        }
        Ok(swept)
    }

    fn sweep_these(&self, names: &[String], head: u64) -> Result<u64, Error> {
        let event = Event::ObjectsSwept(ObjectsSwept { objects: names.to_vec() });
        let events = vec![NewEvent::new(self.tenant_id()?, event)];
        let decision = Decision { guards: Vec::new(), events };
        let receipt = self.journal.append(Command::record(Context::by(Actor::System), decision))?;
        // The commit stands. Whatever was committed between the look and it is asked again, so that nothing that
        // found its event meanwhile is removed.
        let mentioned = self.mentioned_between(head + 1, receipt.seq)?;
        let keys: Vec<Key> = names
            .iter()
            .filter(|name| !mentioned.contains(*name))
            .filter_map(|name| Key::new(format!("{}/{name}", self.layout.root())).ok())
            .collect();
        self.delete(&keys)?;
        tracing::info!(count = keys.len(), seq = receipt.seq, "removed objects that nothing names");
        Ok(keys.len() as u64)
    }

    /// Names that these commits mention.
    fn mentioned_between(&self, first: u64, last: u64) -> Result<BTreeSet<String>, Error> {
        let reader = self.reader();
        let mut mentioned = BTreeSet::new();
        for seq in first..=last {
            let Some((commit, _)) = reader.commit(seq)? else { break };
            for leaf in &commit.leaves {
                let key = self.layout.payload(leaf);
                mentioned.extend(self.layout.local(&key).map(str::to_owned));
                let bytes = self.store.read(&key)?;
                let events =
                    payload::read(&bytes).map_err(|error| Error::from_cause(Kind::Damaged, error))?;
                for recorded in events {
                    let names = recorded
                        .objects
                        .iter()
                        .map(|object| crate::domain::object::object_name(recorded.entity, &object.sha256));
                    mentioned.extend(names);
                }
            }
        }
        Ok(mentioned)
    }
}
