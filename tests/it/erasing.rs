//! Erasures as the journal sees them: replay skips what is gone, and what comes later in a group finds it gone.

use crate::support::FixedClock;
use eakte::catalogue::Catalogue;
use eakte::clock::SystemEntropy;
use eakte::domain::codes::Origin;
use eakte::domain::decision::{Decision, NewEvent};
use eakte::domain::event::{
    Actor, Context, DocumentReceived, ErasurePermitted, Event, LeafRange, TenantCreated, VersionAdded,
};
use eakte::domain::guard::Guard;
use eakte::domain::object::{Encoding, ObjectRef};
use eakte::domain::{Digest, DocumentId, TenantId};
use eakte::journal::{
    AppendError, Applied, Command, Layout, Parts, Projection as _, Reader, Receipt, Writer, replay,
};
use eakte::store::{Memory, ObjectStore};
use eakte::verify::{FaultKind, VerifyOptions, verify_store};
use std::sync::Arc;
use uuid::Uuid;

struct Desk {
    store: Arc<dyn ObjectStore>,
    layout: Layout,
    catalogue: Arc<Catalogue>,
    writer: Writer,
    folder: tempfile::TempDir,
}

const TENANT: TenantId = TenantId::from_uuid(Uuid::from_u128(1));

fn document(number: u64) -> DocumentId {
    DocumentId::from_uuid(Uuid::from_u128(u128::from(1_000 + number)))
}

fn object(number: u64, store: &dyn ObjectStore, layout: &Layout) -> ObjectRef {
    let bytes = format!("Brief {number}").into_bytes();
    let sha256 = Digest::of(&bytes);
    let size = bytes.len() as u64;
    store.create(&layout.object(document(number).into(), &sha256), bytes.into()).unwrap();
    ObjectRef { name: "Brief.txt".to_owned(), sha256, size, enc: Encoding::None }
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn ObjectStore> = Arc::new(Memory::new());
        let layout = Layout::new(&"t".parse().unwrap());
        let catalogue = Arc::new(Catalogue::open(&folder.path().join("grown"), 1 << 20).unwrap());
        let parts = Parts {
            store: store.clone(),
            layout: layout.clone(),
            projection: catalogue.clone(),
            clock: Arc::new(FixedClock("2026-03-02T08:00:00Z".parse().unwrap())),
            entropy: Arc::new(SystemEntropy),
            software: "test".to_owned(),
            patience: Box::new(|attempt| attempt < 3),
        };
        let mut desk = Self { store, layout, catalogue, writer: Writer::open(parts).unwrap(), folder };
        let created = Event::TenantCreated(TenantCreated {
            name: "Steverau".to_owned(),
            time_zone: "Europe/Berlin".to_owned(),
            reference_template: "{plan}-{year}/{seq}".to_owned(),
        });
        desk.commit(vec![record(Vec::new(), NewEvent::new(TENANT, created))]).remove(0).unwrap();
        desk
    }

    fn commit(&mut self, mut commands: Vec<Command>) -> Vec<Result<Receipt, AppendError>> {
        self.writer.commit(&mut commands)
    }

    fn received(&self, number: u64) -> Command {
        let data = DocumentReceived {
            case_file: None,
            unit: None,
            title: format!("Brief {number}"),
            source_name: "Brief.txt".to_owned(),
            source_path: None,
            document_type: None,
            document_date: None,
            received_on: None,
            direction: None,
            origin: Origin::Upload,
            classification: None,
            batch: None,
            media_type: "text/plain".to_owned(),
            findings: Vec::new(),
            idempotency_key: None,
        };
        let objects = vec![object(number, &*self.store, &self.layout)];
        record(Vec::new(), NewEvent::with(document(number), Event::DocumentReceived(data), objects))
    }

    /// Another version, if the document still is what it was.
    fn version(&self, number: u64) -> Command {
        let id = document(number);
        let epoch = self.catalogue.life(id.into()).unwrap().unwrap_or_default().epoch;
        let data = VersionAdded {
            number: 2,
            source_name: "Brief 2.txt".to_owned(),
            media_type: "text/plain".to_owned(),
            findings: Vec::new(),
            idempotency_key: None,
        };
        let objects = vec![object(number, &*self.store, &self.layout)];
        record(vec![Guard::Epoch(id.into(), epoch)], NewEvent::with(id, Event::VersionAdded(data), objects))
    }

    fn erase(&self, number: u64) -> Command {
        let id = document(number);
        let leaves = self.catalogue.leaves_of(id.into()).unwrap();
        let leaves: Vec<_> =
            leaves.iter().map(|(position, _)| LeafRange { first: *position, last: *position }).collect();
        let version = self.catalogue.life(id.into()).unwrap().unwrap().version;
        let permitted = ErasurePermitted { entities: vec![id.into()], leaves: leaves.clone() };
        let new = NewEvent::new(TENANT, Event::ErasurePermitted(permitted));
        Command { erases: leaves, ..record(vec![Guard::Version(id.into(), version)], new) }
    }
}

fn record(guards: Vec<Guard>, new: NewEvent) -> Command {
    Command::record(Context::by(Actor::System), Decision { guards, events: vec![new] })
}

fn dump(catalogue: &Catalogue) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    catalogue.dump(&mut |key, value| rows.push((key.to_vec(), value.to_vec()))).unwrap();
    rows
}

#[test]
fn whoever_comes_after_an_erasure_in_the_same_group_finds_the_record_gone() {
    let mut desk = Desk::new();
    let commands = vec![desk.received(1)];
    desk.commit(commands).remove(0).unwrap();
    let commands = vec![desk.erase(1), desk.version(1)];
    let answers = desk.commit(commands);
    assert!(answers[0].is_ok());
    assert!(matches!(answers[1], Err(AppendError::Stale(Guard::Epoch(..)))), "{:?}", answers[1]);

    // The other way round, the erasure no longer knows all leaves and is refused.
    let commands = vec![desk.received(2)];
    desk.commit(commands).remove(0).unwrap();
    let commands = vec![desk.version(2), desk.erase(2)];
    let answers = desk.commit(commands);
    assert!(answers[0].is_ok());
    assert!(matches!(answers[1], Err(AppendError::Stale(Guard::Version(..)))), "{:?}", answers[1]);
}

#[test]
fn a_replay_equals_what_grew_however_far_the_erasures_have_come() {
    for seed in 1..=8_u64 {
        println!("seed {seed}");
        let dice = |what: &str, number: u64, sides: u8| {
            Digest::of(format!("{seed} {what} {number}").as_bytes()).as_bytes()[0] % sides
        };
        let mut desk = Desk::new();
        let mut alive = Vec::new();
        for number in 0..40 {
            let mut commands = vec![desk.received(number)];
            if let Some(at) = alive.iter().position(|other| dice("touch", number * 100 + other, 5) == 0) {
                commands.push(if dice("erase", number, 2) == 0 {
                    desk.erase(alive.remove(at))
                } else {
                    desk.version(alive[at])
                });
            }
            desk.commit(commands).into_iter().for_each(|answer| drop(answer.unwrap()));
            alive.push(number);
        }
        // Some of what may go is gone, some is not yet.
        let reader = Reader::new(desk.store.clone(), desk.layout.clone());
        let ranges = reader.erased_from(1).unwrap();
        assert!(!ranges.is_empty());
        let mut seq = 1;
        while let Some((commit, _)) = reader.commit(seq).unwrap() {
            for (position, leaf) in (commit.first_leaf..).zip(&commit.leaves) {
                let erased = ranges.iter().any(|range| (range.first..=range.last).contains(&position));
                if erased && dice("gone", position, 3) > 0 {
                    desk.store.delete(&[desk.layout.payload(leaf)]).unwrap();
                }
            }
            seq += 1;
        }
        let fresh = Catalogue::open(&desk.folder.path().join("fresh"), 1 << 20).unwrap();
        replay(&reader, &fresh, Applied::default(), &mut |_| {}).unwrap();
        assert_eq!(fresh.applied().unwrap(), desk.catalogue.applied().unwrap());
        assert!(dump(&fresh) == dump(&desk.catalogue), "seed {seed}: another catalogue");

        let now = "2026-03-02T08:00:00Z".parse().unwrap();
        let tenant = "t".parse().unwrap();
        let scratch = desk.folder.path();
        let report =
            verify_store(&desk.store, &tenant, scratch, now, &VerifyOptions::default(), &|_| {}).unwrap();
        assert_eq!(report.findings, [], "seed {seed}");
        assert!(report.notices.iter().all(|notice| notice.kind == FaultKind::ErasurePending), "{report:?}");
    }
}
