//! Erasures as the journal sees them: replay skips what is gone, and what comes later in a group finds it gone.

use crate::support::FixedClock;
use eakte::catalogue::Catalogue;
use eakte::clock::SystemEntropy;
use eakte::domain::batch::Batch;
use eakte::domain::codes::{LineStatus, Origin, Rejection};
use eakte::domain::decision::{Decision, NewEvent};
use eakte::domain::event::{
    Actor, BatchOpened, Context, DocumentReceived, DuplicateArrived, ErasurePermitted, Event, FilesRejected,
    LeafRange, RejectedFile, TenantCreated, VersionAdded,
};
use eakte::domain::guard::Guard;
use eakte::domain::object::{Encoding, ObjectRef};
use eakte::domain::{BatchId, Digest, DocumentId, TenantId};
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
const BATCH: BatchId = BatchId::from_uuid(Uuid::from_u128(2));

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
        let opened = Batch::open(BATCH, BatchOpened::named("Karton 7", "Karton 7"));
        desk.commit(vec![record(Vec::new(), opened)]).remove(0).unwrap();
        desk
    }

    fn commit(&mut self, mut commands: Vec<Command>) -> Vec<Result<Receipt, AppendError>> {
        self.writer.commit(&mut commands)
    }

    fn received(&self, number: u64) -> Command {
        self.received_as(number, None)
    }

    /// Received as this file of the batch.
    fn received_as(&self, number: u64, path: Option<&str>) -> Command {
        let data = DocumentReceived {
            case_file: None,
            unit: None,
            title: format!("Brief {number}"),
            source_name: "Brief.txt".to_owned(),
            source_path: path.map(str::to_owned),
            document_type: None,
            document_date: None,
            received_on: None,
            direction: None,
            origin: Origin::Upload,
            classification: None,
            batch: path.map(|_| BATCH),
            media_type: "text/plain".to_owned(),
            findings: Vec::new(),
            idempotency_key: None,
        };
        let objects = vec![object(number, &*self.store, &self.layout)];
        record(Vec::new(), NewEvent::with(document(number), Event::DocumentReceived(data), objects))
    }

    /// The document's bytes once more, as this file of the batch.
    fn again(number: u64, path: &str) -> Command {
        let data = DuplicateArrived { batch: BATCH, source_path: path.to_owned() };
        record(Vec::new(), NewEvent::new(document(number), Event::DuplicateArrived(data)))
    }

    fn rejected(path: &str) -> Command {
        let file =
            RejectedFile { path: path.to_owned(), size: None, rejection: Rejection::Empty, detail: None };
        record(Vec::new(), NewEvent::new(BATCH, Event::FilesRejected(FilesRejected { files: vec![file] })))
    }

    /// A replay of the journal into an empty catalogue.
    fn replayed(&self, name: &str) -> Catalogue {
        let fresh = Catalogue::open(&self.folder.path().join(name), 1 << 20).unwrap();
        let reader = Reader::new(self.store.clone(), self.layout.clone());
        replay(&reader, &fresh, Applied::default(), &mut |_| {}).unwrap();
        fresh
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
            // Few paths, so that several documents lay claim to one.
            let path = |what: &str| format!("{}.txt", dice(what, number, 4));
            let mut commands =
                vec![desk.received_as(number, (number % 3 > 0).then(|| path("path")).as_deref())];
            if let Some(at) = alive.iter().position(|other| dice("touch", number * 100 + other, 5) == 0) {
                commands.push(if dice("erase", number, 2) == 0 {
                    desk.erase(alive.remove(at))
                } else {
                    desk.version(alive[at])
                });
            }
            desk.commit(commands).into_iter().for_each(|answer| drop(answer.unwrap()));
            let line = match (dice("line", number, 3), alive.last()) {
                (0, Some(other)) => Desk::again(*other, &path("again")),
                (1, _) => Desk::rejected(&path("rejected")),
                _ => Desk::again(number, &path("twice")),
            };
            desk.commit(vec![line]).remove(0).unwrap();
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
        let fresh = desk.replayed("fresh");
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

#[test]
fn a_path_that_several_documents_lay_claim_to_falls_to_the_next_when_one_is_erased() {
    let mut desk = Desk::new();
    let commands = vec![
        Desk::rejected("a.txt"),
        desk.received_as(1, Some("a.txt")),
        desk.received_as(2, Some("a.txt")),
        desk.received(3),
        Desk::again(3, "a.txt"),
    ];
    desk.commit(commands).into_iter().for_each(|answer| drop(answer.unwrap()));
    let shown = |catalogue: &Catalogue| {
        let line = catalogue.line(BATCH, "a.txt").unwrap().unwrap();
        let row = catalogue.batch(BATCH).unwrap().unwrap();
        (line.status, line.document, (row.received, row.duplicate, row.rejected))
    };
    assert_eq!(shown(&desk.catalogue), (LineStatus::Received, Some(document(2)), (1, 0, 0)));
    for (number, next) in [
        (2, (LineStatus::Received, Some(document(1)), (1, 0, 0))),
        (1, (LineStatus::Duplicate, Some(document(3)), (0, 1, 0))),
        (3, (LineStatus::Rejected, None, (0, 0, 1))),
    ] {
        // The payloads of what is erased are gone when the journal is read again.
        let gone: Vec<_> = desk.catalogue.leaves_of(document(number).into()).unwrap();
        let gone: Vec<_> = gone.iter().map(|(_, digest)| desk.layout.payload(digest)).collect();
        let commands = vec![desk.erase(number)];
        desk.commit(commands).remove(0).unwrap();
        desk.store.delete(&gone).unwrap();
        assert_eq!(shown(&desk.catalogue), next);
        assert_eq!(desk.catalogue.lines(BATCH, None, 10).unwrap().items.len(), 1);
        assert!(dump(&desk.replayed(&format!("fresh {number}"))) == dump(&desk.catalogue));
    }
}
