//! Erasing: the commit that permits it first, then the bytes, then the projections, then the commit that says it is
//! done. Killed anywhere in between, it is taken up again.
//!
//! Nobody can ask for an erasure yet: retention, holds and approvals will stand before [`Archive::permit_erasure`].

use super::{Archive, Error, Kind};
use crate::domain::decision::{Decision, NewEvent};
use crate::domain::event::{Actor, Context, ErasureCompleted, ErasurePermitted, Event, LeafRange, Recorded};
use crate::domain::guard::Guard;
use crate::domain::{CaseFileId, EntityId, EntityKind, TenantId};
use crate::journal::{Command, JournalError, Projection as _, payload};
use crate::store::{Key, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use uuid::Uuid;

/// Names deleted at once.
const DELETED_AT_ONCE: usize = 1_000;

impl Archive {
    /// Permits the erasure of these entities, with everything they own. The commit stands only if none of them has
    /// changed since it was looked at.
    ///
    /// # Errors
    /// [`Kind::Missing`] for an unknown entity, [`Kind::Invalid`] for one that is never erased or a case file without
    /// its documents, [`Kind::Conflict`] when something changed meanwhile.
    #[cfg_attr(not(test), expect(dead_code, reason = "the use case for people comes with retention"))]
    pub(crate) fn permit_erasure(&self, context: Context, entities: &[EntityId]) -> Result<u64, Error> {
        let named: BTreeSet<EntityId> = entities.iter().copied().collect();
        let (mut guards, mut positions) = (Vec::new(), BTreeSet::new());
        for entity in &named {
            match entity.kind {
                EntityKind::Document | EntityKind::Batch => {}
                EntityKind::CaseFile => self.require_documents(CaseFileId::from_uuid(entity.id), &named)?,
                EntityKind::Tenant | EntityKind::Account | EntityKind::Unit | EntityKind::PlanUnit => {
                    return Err(Error::new(Kind::Invalid, format!("{entity} wird nie gelöscht.")));
                }
            }
            // The guard first: what changes between the two reads makes it stale.
            let life = self.catalogue.life(*entity)?.ok_or_else(|| Error::missing("Der Gegenstand"))?;
            guards.push(Guard::Version(*entity, life.version));
            positions.extend(self.catalogue.leaves_of(*entity)?.into_iter().map(|(position, _)| position));
        }
        let leaves = ranges(positions);
        let permitted = ErasurePermitted { entities: named.into_iter().collect(), leaves: leaves.clone() };
        let events = vec![NewEvent::new(self.tenant_id()?, Event::ErasurePermitted(permitted))];
        let command = Command { erases: leaves, ..Command::record(context, Decision { guards, events }) };
        Ok(self.journal.append(command)?.seq)
    }

    fn require_documents(&self, case_file: CaseFileId, named: &BTreeSet<EntityId>) -> Result<(), Error> {
        let mut from = None;
        loop {
            let page = self.catalogue.documents_of(Some(case_file), from.as_ref(), 500)?;
            if page.items.iter().any(|(id, _)| !named.contains(&EntityId::from(*id))) {
                let public = "Eine Akte wird nur zusammen mit allen ihren Dokumenten gelöscht.";
                return Err(Error::new(Kind::Invalid, public));
            }
            from = page.next;
            if from.is_none() {
                return Ok(());
            }
        }
    }

    pub(super) fn tenant_id(&self) -> Result<TenantId, Error> {
        let row = self.catalogue.tenant()?;
        Ok(row.ok_or_else(|| Error::new(Kind::Damaged, "Der Mandant hat noch keine Stammdaten."))?.id)
    }

    /// Completes every erasure that is permitted and not yet complete; says how many. Called at start and now and
    /// then: whatever had been done before a kill is done again, which changes nothing.
    ///
    /// # Errors
    /// When the store, the journal or a projection refuses; the erasure then stays permitted and is tried again.
    pub fn finish_erasures(&self) -> Result<u64, Error> {
        let mut done = 0;
        for (seq, permitted) in self.pending_erasures()? {
            self.delete_erased(&permitted)?;
            // The bytes are gone from the store, not from the projections. A crash here begins again.
            if !self.forget(seq)? {
                tracing::warn!(seq, "the search index has not let go of what was erased; trying again later");
                continue;
            }
            let completed = Event::ErasureCompleted(ErasureCompleted { permitted_by: seq });
            let events = vec![NewEvent::new(self.tenant_id()?, completed)];
            let decision = Decision { guards: Vec::new(), events };
            self.journal.append(Command::record(Context::by(Actor::System), decision))?;
            done += 1;
        }
        Ok(done)
    }

    /// Erasures that are permitted and not complete, with their commits. They are few: read from the tenant's own
    /// events.
    pub(super) fn pending_erasures(&self) -> Result<BTreeMap<u64, ErasurePermitted>, Error> {
        let (mut pending, mut completed) = (BTreeMap::new(), BTreeSet::new());
        for (position, sha256) in self.catalogue.leaves_of(self.tenant_id()?.into())? {
            let bytes = self.store.read(&self.layout.payload(&sha256))?;
            let events: Vec<Recorded> =
                payload::read(&bytes).map_err(|error| Error::from_cause(Kind::Damaged, error))?;
            for recorded in events {
                match recorded.event {
                    Event::ErasurePermitted(data) => {
                        pending.insert(self.commit_of(position)?, data);
                    }
                    Event::ErasureCompleted(data) => {
                        completed.insert(data.permitted_by);
                    }
                    _ => {}
                }
            }
        }
        pending.retain(|seq, _| !completed.contains(seq));
        Ok(pending)
    }

    /// The commit that holds a leaf.
    fn commit_of(&self, position: u64) -> Result<u64, Error> {
        let reader = self.reader();
        let first_leaf = |seq| match reader.commit(seq) {
            Ok(Some((commit, _))) => Ok(commit.first_leaf),
            Ok(None) => Err(Error::from(JournalError::Rollback { seq })),
            Err(error) => Err(error.into()),
        };
        let (mut low, mut high) = (1, self.catalogue.applied()?.seq);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if first_leaf(middle)? <= position { low = middle } else { high = middle - 1 }
        }
        Ok(low)
    }

    /// Deletes objects, then payloads, and makes sure that they are gone.
    fn delete_erased(&self, permitted: &ErasurePermitted) -> Result<(), Error> {
        let owners: BTreeSet<Uuid> = permitted.entities.iter().map(|entity| entity.id).collect();
        self.delete(&self.objects_of(&owners)?)?;
        let mut payloads = Vec::new();
        let reader = self.reader();
        for range in &permitted.leaves {
            let mut seq = self.commit_of(range.first)?;
            while let Some((commit, _)) = reader.commit(seq)? {
                let covered = |position: &u64| (range.first..=range.last).contains(position);
                let leaves = (commit.first_leaf..).zip(&commit.leaves);
                payloads
                    .extend(leaves.filter(|(at, _)| covered(at)).map(|(_, leaf)| self.layout.payload(leaf)));
                if commit.next_leaf() > range.last {
                    break;
                }
                seq += 1;
            }
        }
        self.delete(&payloads)?;
        // What was published meanwhile is deleted by a later call or by the sweep.
        for key in self.objects_of(&owners)?.iter().chain(&payloads) {
            if self.store.size(key)?.is_some() {
                return Err(Error::new(
                    Kind::Unavailable,
                    format!("Das Objekt {key} ließ sich nicht löschen."),
                ));
            }
        }
        Ok(())
    }

    /// Everything that lies under the names of these owners, also what no event names.
    fn objects_of(&self, owners: &BTreeSet<Uuid>) -> Result<Vec<Key>, StoreError> {
        let folders: BTreeMap<u8, Uuid> = owners.iter().map(|owner| (owner.as_bytes()[15], *owner)).collect();
        let mut keys = Vec::new();
        for owner in folders.into_values() {
            let folder = self.layout.object_folder(EntityId::new(EntityKind::Document, owner));
            self.store.list(&folder, &mut |listed| {
                let name = listed.key.as_str().rsplit('/').next().unwrap_or_default();
                let listed_owner = name.get(..36).and_then(|text| text.parse().ok());
                if listed_owner.is_some_and(|owner: Uuid| owners.contains(&owner)) {
                    keys.push(listed.key);
                }
                ControlFlow::Continue(())
            })?;
        }
        Ok(keys)
    }

    pub(super) fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
        keys.chunks(DELETED_AT_ONCE).try_for_each(|chunk| self.store.delete(chunk))
    }

    /// Makes the search index let go of what the commit erased; false when it has not managed to yet.
    fn forget(&self, seq: u64) -> Result<bool, Error> {
        while self.indexer.index.position() < seq {
            if !self.indexer.step()? {
                return Ok(false);
            }
        }
        Ok(self.indexer.purge()?.complete)
    }
}

/// Positions as ranges.
fn ranges(positions: BTreeSet<u64>) -> Vec<LeafRange> {
    let mut ranges = Vec::<LeafRange>::new();
    for position in positions {
        match ranges.last_mut() {
            Some(range) if range.last + 1 == position => range.last = position,
            _ => ranges.push(LeafRange { first: position, last: position }),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::{Installation, NewTenant, Permit, Place, Settings};
    use crate::clock::{Clock, SystemEntropy};
    use crate::domain::codes::Origin;
    use crate::domain::document::Arrival;
    use crate::domain::text::Line;
    use crate::domain::{Digest, DocumentId, TenantSlug};
    use crate::ingest::{Declared, Outcome};
    use crate::store::{BucketConfig, StoreLocation};
    use crate::verify::{FaultKind, VerifyOptions, VerifyReport};
    use jiff::Timestamp;
    use std::path::Path;
    use std::sync::Arc;

    #[derive(Debug)]
    struct Noon;

    impl Clock for Noon {
        fn now(&self) -> Timestamp {
            "2026-03-02T12:00:00Z".parse().unwrap()
        }
    }

    fn slug() -> TenantSlug {
        "t".parse().unwrap()
    }

    fn settings() -> Settings {
        Settings { background: false, ..Settings::default() }
    }

    struct Town {
        installation: Installation,
        archive: Arc<Archive>,
        permit: Permit,
    }

    fn create(folder: &Path) -> Town {
        let place = Place::directory(&folder.join("data"));
        let installation =
            Installation::create(place, settings(), Arc::new(Noon), Arc::new(SystemEntropy)).unwrap();
        let reference_template = "{plan}-{year}/{seq}".parse().unwrap();
        let name = Line::new("Steverau").unwrap();
        let token =
            installation.create_tenant(&NewTenant { slug: slug(), name, reference_template }).unwrap();
        let archive = installation.archive(&slug()).unwrap();
        let permit = archive.permit(&token).unwrap();
        Town { installation, archive, permit }
    }

    impl Town {
        fn receive(&self, text: &str) -> DocumentId {
            let arrival = Arrival::named("Brief.txt", Origin::Upload);
            let body = &mut text.as_bytes();
            match self.archive.receive(&self.permit, &arrival, None, body, &Declared::default()).unwrap() {
                Outcome::Received(accepted) => accepted.document,
                other => panic!("{other:?}"),
            }
        }

        fn verify(&self) -> VerifyReport {
            self.installation.verify(&slug(), &VerifyOptions::default(), &|_| {}).unwrap()
        }
    }

    fn by_us() -> Context {
        Context::by(Actor::System)
    }

    #[test]
    fn an_erased_document_is_gone_everywhere_and_the_journal_stays_whole() {
        let folder = tempfile::tempdir().unwrap();
        let town = create(folder.path());
        let (gone, kept) = (town.receive("Vertraulich"), town.receive("Bleibt"));
        town.archive.permit_erasure(by_us(), &[gone.into()]).unwrap();
        assert!(town.archive.catalogue().document(gone).unwrap().is_none(), "hidden at once");
        let pending = town.verify();
        assert_eq!(pending.findings, []);
        assert_eq!(pending.notices.iter().filter(|n| n.kind == FaultKind::ErasurePending).count(), 2);
        assert_eq!(town.archive.finish_erasures().unwrap(), 1);
        assert_eq!(town.archive.finish_erasures().unwrap(), 0);
        let after = town.verify();
        assert_eq!(after.findings, []);
        assert!(!after.notices.iter().any(|n| n.kind == FaultKind::ErasurePending), "{after:?}");
        assert!(town.archive.catalogue().document(kept).unwrap().is_some());
        assert_eq!(after.leaves, pending.leaves + 1, "leaves stay, and one tells of the completion");
    }

    #[test]
    fn an_erasure_killed_between_its_steps_is_completed_after_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let town = create(folder.path());
        let gone: Vec<_> = ["eins", "zwei", "drei"].into_iter().map(|text| town.receive(text)).collect();
        let entities: Vec<EntityId> = gone.iter().map(|id| EntityId::from(*id)).collect();
        town.archive.permit_erasure(by_us(), &entities).unwrap();
        // One object is gone when the process dies.
        let owners = BTreeSet::from([gone[0].uuid()]);
        town.archive.delete(&town.archive.objects_of(&owners).unwrap()).unwrap();
        let place = town.installation.place().clone();
        drop(town);
        let open = Installation::open(place, settings(), Arc::new(Noon), Arc::new(SystemEntropy)).unwrap();
        let archive = open.archive(&slug()).unwrap();
        assert_eq!(archive.finish_erasures().unwrap(), 1);
        let report = open.verify(&slug(), &VerifyOptions::default(), &|_| {}).unwrap();
        assert_eq!((report.findings, report.objects), (Vec::new(), 4), "tenant, account, two erasure events");
    }

    #[test]
    fn what_changed_meanwhile_or_is_never_erased_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let town = create(folder.path());
        let document = town.receive("eins");
        let tenant: EntityId = town.archive.tenant_id().unwrap().into();
        let refused =
            |entities: &[EntityId]| town.archive.permit_erasure(by_us(), entities).unwrap_err().kind;
        assert_eq!(refused(&[document.into(), tenant]), Kind::Invalid);
        let unknown = EntityId::new(EntityKind::Document, Uuid::from_u128(1));
        assert_eq!(refused(&[unknown]), Kind::Missing);
        town.archive.permit_erasure(by_us(), &[document.into()]).unwrap();
        assert_eq!(refused(&[document.into()]), Kind::Missing, "a second time");
    }

    #[test]
    fn what_reappears_after_its_destruction_is_found_and_swept() {
        let folder = tempfile::tempdir().unwrap();
        let town = create(folder.path());
        let gone = town.receive("Vertraulich");
        let leaves = town.archive.catalogue().leaves_of(gone.into()).unwrap();
        let payload = town.archive.layout().payload(&leaves[0].1);
        let bytes = town.archive.store().read(&payload).unwrap();
        town.archive.permit_erasure(by_us(), &[gone.into()]).unwrap();
        town.archive.finish_erasures().unwrap();
        // A restored payload, a restored original, and a rendition that came too late.
        let (original, late) = (Digest::of(b"Vertraulich"), Digest::of(b"zu spaet"));
        let keys = [original, late].map(|digest| town.archive.layout().object(gone.into(), &digest));
        town.archive.store().create(&payload, bytes).unwrap();
        town.archive.store().create(&keys[0], "Vertraulich".into()).unwrap();
        town.archive.store().create(&keys[1], "zu spaet".into()).unwrap();
        let mut expected: Vec<_> = keys.iter().chain([&payload]).map(ToString::to_string).collect();
        expected.sort();
        let report = town.verify();
        assert!(report.findings.iter().all(|fault| fault.kind == FaultKind::ErasedPresent), "{report:?}");
        assert_eq!(report.findings.into_iter().map(|fault| fault.object).collect::<Vec<_>>(), expected);
        assert_eq!(town.installation.sweep(&slug(), Noon.now()).unwrap(), 3);
        assert_eq!(town.verify().findings, []);
    }

    #[test]
    fn the_sweep_waits_seven_days_and_never_works_on_a_damaged_journal() {
        let folder = tempfile::tempdir().unwrap();
        let town = create(folder.path());
        let kept = town.receive("Bleibt");
        let owner = EntityId::new(EntityKind::Document, Uuid::from_u128(77));
        let stray = town.archive.layout().object(owner, &Digest::of(b"herrenlos"));
        town.archive.store().create(&stray, "herrenlos".into()).unwrap();
        let is_there = || town.archive.store().size(&stray).unwrap().is_some();
        let written = crate::clock::SystemClock.now();
        let in_days = |days: i64| written + jiff::SignedDuration::from_hours(24 * days);
        assert_eq!(town.installation.sweep(&slug(), in_days(6)).unwrap(), 0);
        assert!(is_there());

        let leaves = town.archive.catalogue().leaves_of(kept.into()).unwrap();
        let payload = town.archive.layout().payload(&leaves[0].1);
        let bytes = town.archive.store().read(&payload).unwrap();
        town.archive.store().delete(std::slice::from_ref(&payload)).unwrap();
        assert_eq!(town.installation.sweep(&slug(), in_days(8)).unwrap_err().kind, Kind::Damaged);
        assert!(is_there());

        town.archive.store().create(&payload, bytes).unwrap();
        assert_eq!(town.installation.sweep(&slug(), in_days(8)).unwrap(), 1);
        assert!(!is_there());
        assert_eq!(town.verify().findings, []);
    }

    #[test]
    fn what_is_destroyed_disappears_from_the_backup_too() {
        let folder = tempfile::tempdir().unwrap();
        let town = create(folder.path());
        let (gone, _) = (town.receive("Vertraulich"), town.receive("Bleibt"));
        let to = StoreLocation::Directory(folder.path().join("sicherung"));
        let bucket = BucketConfig::default();
        let save = || {
            crate::backup::backup(&crate::backup::Source::of(&town.installation), None, &to, &bucket, &|_| {})
                .unwrap()
        };
        assert_eq!(save().tenants[0].removed, 0);
        town.archive.permit_erasure(by_us(), &[gone.into()]).unwrap();
        let report = save();
        assert_eq!((report.tenants[0].removed, report.is_complete()), (2, true), "permitted is enough");
        town.archive.finish_erasures().unwrap();
        assert_eq!((save().tenants[0].removed, save().is_complete()), (0, true));
        let place = Place::directory(&folder.path().join("neu"));
        let (clock, entropy) = (Arc::new(Noon), Arc::new(SystemEntropy));
        let target = crate::backup::Target { place, settings: settings(), clock, entropy };
        let restored = crate::backup::restore(&to, &bucket, None, &target, &|_| {}).unwrap();
        assert!(restored.is_complete(), "{restored:?}");
        let archive = restored.installation.archive(&slug()).unwrap();
        assert!(archive.catalogue().document(gone).unwrap().is_none());
    }
}
