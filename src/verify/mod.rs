//! Checks a tenant: every byte of every object, the chain of commits, what events name, and both projections.
//!
//! It works on the store alone, so also where an archive no longer opens, and while others write: checked is what
//! was there up to the newest commit at the start. It never stops at the first fault. Names and small facts of
//! all objects are sorted into heaps, on disk if need be ([`shards`]), so memory stays the same however many
//! there are.

pub(crate) mod chain;
pub(crate) mod check;
pub(crate) mod faults;
pub(crate) mod heaps;
pub(crate) mod listing;
pub(crate) mod projections;
pub(crate) mod replayed;
mod report;
mod settle;
pub(crate) mod shards;

pub use report::{Expect, Fault, FaultKind, InvalidExpect, Progress, Sample, VerifyOptions, VerifyReport};

use crate::domain::TenantSlug;
use crate::journal::{Layout, Reader, payload};
use crate::store::{ObjectStore, StoreError};
use chain::{Leaf, Listener, Marks};
use check::{Check, Erasing, Scope};
use faults::Faults;
use heaps::leaf_record;
use jiff::Timestamp;
use listing::Listing;
use projections::{Projections, View};
use shards::Shards;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

/// What is checked, and with what.
pub(crate) struct Subject<'a> {
    pub(crate) store: &'a Arc<dyn ObjectStore>,
    pub(crate) layout: &'a Layout,
    pub(crate) projections: Projections<'a>,
    /// A folder for what does not fit into memory.
    pub(crate) scratch: &'a Path,
    pub(crate) now: Timestamp,
}

/// How closely objects are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Every byte is read.
    Bytes,
    /// Only who names what: originals and renditions are not opened.
    Names,
}

/// A full look at a tenant's objects: the report, and what a clean-up needs to know.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) report: VerifyReport,
    /// Names below the tenant's folder that nothing mentions, with the time they were written.
    pub(crate) strays: BTreeMap<String, i64>,
    /// Whether the whole journal could be read.
    pub(crate) legible: bool,
    /// The newest commit that was looked at.
    pub(crate) head: u64,
}

/// Checks a tenant's objects without looking at any projection; `scratch` is a folder for what does not fit into
/// memory.
///
/// # Errors
/// When the store as a whole does not answer; everything else is a finding.
pub fn verify_store(
    store: &Arc<dyn ObjectStore>,
    tenant: &TenantSlug,
    scratch: &Path,
    now: Timestamp,
    options: &VerifyOptions,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<VerifyReport, StoreError> {
    let layout = Layout::new(tenant);
    let subject = Subject { store, layout: &layout, projections: Projections::Ignored, scratch, now };
    Ok(verify(&subject, Depth::Bytes, options, progress)?.report)
}

/// Checks a tenant.
///
/// # Errors
/// When the store as a whole does not answer; everything else is a finding.
pub(crate) fn verify(
    subject: &Subject<'_>,
    depth: Depth,
    options: &VerifyOptions,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Survey, StoreError> {
    let Subject { store, layout, scratch, .. } = *subject;
    let started = crate::clock::Clock::now(&crate::clock::SystemClock).as_millisecond();
    let (faults, notices) = (Faults::default(), Faults::default());
    let mut head = chain::head(&**store, layout)?;
    let opened = subject.projections.open(&faults, &notices);
    let view = View::new(&opened, head, &faults);
    let applied = view.as_ref().map(|view| &view.applied);
    let marks = Marks {
        sizes: options
            .expect
            .map(|expect| expect.size)
            .into_iter()
            .chain(applied.map(|applied| applied.frontier.size()))
            .collect(),
    };
    let threads = options.threads.max(1);
    let walk = |head| {
        let mut notes = Notes { leaves: Shards::new(scratch), faults: Vec::new() };
        let chain = chain::walk(&**store, layout, head, threads, &marks, &mut notes)?;
        Ok::<_, StoreError>((chain, notes))
    };
    let (listing, walked) = std::thread::scope(|scope| {
        let listing = scope.spawn(|| Listing::read(&**store, layout, scratch, head, &faults));
        let walked = walk(head);
        let listing = listing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (listing, walked)
    });
    let (listing, mut walked) = (listing?, walked?);
    if let Some(last) = listing.later.last()
        && store.size(&layout.commit(head + 1))?.is_none()
    {
        // The journal seemed to end at a gap: the whole of it goes on behind.
        head = *last;
        walked = walk(head)?;
    }
    let (chain, notes) = walked;
    notes.faults.into_iter().for_each(|fault| faults.push(fault));
    let scope = match (options.sample, options.since) {
        (Some(sample), _) => Scope::Chosen(listing.choose(sample)?),
        (None, Some(since)) => Scope::From(first_since(store, layout, head, since, chain.leaves)?),
        (None, None) => Scope::All,
    };
    let total = match &scope {
        Scope::All => listing.count,
        Scope::From(position) => chain.leaves.saturating_sub(*position),
        Scope::Chosen(chosen) => chosen.len() as u64,
    };
    let is_full = matches!(scope, Scope::All);
    let (_, named, entities) = heaps::heaps(scratch);
    let check = Check {
        store,
        layout,
        chain,
        head,
        listing,
        scope,
        depth,
        threads,
        view,
        now: subject.now,
        started,
        progress,
        total,
        leaves: notes.leaves,
        named,
        entities,
        faults,
        notices,
        erasing: Mutex::new(Erasing::default()),
        open: Mutex::default(),
        strays: Mutex::default(),
        done: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        documents: AtomicU64::new(0),
    };
    let check::Outcome { strays, documents, legible } = check.run()?;
    let Check { chain, view, faults, notices, done, bytes, .. } = check;
    projections::check_places(store, layout, &opened, view.as_ref(), &chain, head, (&faults, &notices))?;
    if is_full {
        let at_head = view.as_ref().is_some_and(|view| view.applied.seq == head);
        projections::check_bytes(&opened, view.as_ref(), documents.filter(|_| at_head), &faults);
        // An unreadable journal has its own findings; a catalogue that is behind has its notice.
        if let Some(view) = view.as_ref().filter(|_| options.replay && legible && at_head) {
            replayed::compare(subject, &opened, view, &faults, progress)?;
        }
    }
    if let Some(expect) = options.expect {
        check_expected(expect, &chain, layout, head, &faults);
    }
    let report = VerifyReport {
        objects: done.into_inner(),
        bytes: bytes.into_inner() + chain.bytes,
        commits: chain.commits,
        leaves: chain.leaves,
        root: chain.root,
        findings: faults.into_list(),
        notices: notices.into_list(),
    };
    Ok(Survey { report, strays, legible, head })
}

struct Notes {
    leaves: Shards<48>,
    faults: Vec<Fault>,
}

impl Listener for Notes {
    fn leaf(&mut self, leaf: Leaf) -> Result<(), StoreError> {
        self.leaves.push(leaf.sha256.as_bytes()[0], &leaf_record(&leaf)).map_err(StoreError::staging)
    }

    fn fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }
}

fn check_expected(expect: Expect, chain: &chain::Chain, layout: &Layout, head: u64, faults: &Faults) {
    let object = if head == 0 { layout.prefix("j").to_string() } else { layout.commit(head).to_string() };
    match chain.roots.get(&expect.size) {
        Some(root) if *root == expect.root => {}
        Some(root) => {
            let detail = format!(
                "Bei {} Blättern ist die Wurzel {root} statt {}: Die Geschichte wurde umgeschrieben.",
                expect.size, expect.root
            );
            faults.add(FaultKind::HistoryRewritten, object, detail);
        }
        None => {
            let detail = format!(
                "Das Journal hat {} Blätter, erwartet werden mindestens {}: Es wurde gekürzt.",
                chain.leaves, expect.size
            );
            faults.add(FaultKind::HistoryShortened, object, detail);
        }
    }
}

/// Position of the first leaf that was recorded at `since` or later, looked for from the end.
fn first_since(
    store: &Arc<dyn ObjectStore>,
    layout: &Layout,
    head: u64,
    since: Timestamp,
    leaves: u64,
) -> Result<u64, StoreError> {
    let reader = Reader::new(store.clone(), layout.clone());
    let mut first = leaves;
    for seq in (1..=head).rev() {
        // What cannot be read here is a finding of the walk; its neighbours tell the time as well.
        let Ok(Some((commit, _))) = reader.commit(seq) else { continue };
        for leaf in &commit.leaves {
            let bytes = match store.read(&layout.payload(leaf)) {
                Ok(bytes) => bytes,
                Err(error @ StoreError::Unavailable { .. }) => return Err(error),
                Err(_) => continue,
            };
            let Ok(events) = payload::read(&bytes) else { continue };
            let Some(event) = events.first() else { continue };
            if event.recorded_at < since {
                return Ok(first);
            }
            break;
        }
        first = commit.first_leaf;
    }
    Ok(first)
}
