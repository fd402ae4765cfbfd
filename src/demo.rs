//! The fictional town of Steverau: a fresh archive, its file plan, its case files and its papers.

use crate::archive::{Archive, Error, Frame, Installation, Kind, NewTenant, Permit, Place, Settings, Source};
use crate::clock::{Clock, Entropy};
use crate::domain::TenantSlug;
use crate::domain::codes::Origin;
use crate::domain::text::Line;
use crate::ingest::manifest::Manifest;
use crate::ingest::{BatchFacts, FileReport, FileStatus};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Marks a directory that the demonstration made and may use again.
const MARK: &str = "steverau.demo";

/// The list of everything in the town.
const LIST: &str = "manifest.jsonl";

/// The town's short name.
pub const TENANT: &str = "steverau";

/// How far the demonstration is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Files in all.
    pub files: u64,
    /// Files received, or there already.
    pub received: u64,
    /// Files that are searchable.
    pub searchable: u64,
    /// Pages of searchable files.
    pub pages: u64,
}

/// How it went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    /// What came in.
    pub progress: Progress,
    /// Files that were not stored.
    pub rejected: u64,
    /// New documents; 0 when the town was there already.
    pub new: u64,
    /// Until everything was accepted.
    pub accepted_after: Duration,
    /// Until the first document was searchable.
    pub first_searchable_after: Option<Duration>,
    /// Until all were.
    pub searchable_after: Duration,
}

/// Finds the town's papers: where asked, or `fixtures/steverau` here or where the program was built.
///
/// # Errors
/// When they are nowhere.
pub fn find_fixtures(asked: Option<&Path>) -> Result<PathBuf, Error> {
    let places = match asked {
        Some(asked) => vec![asked.to_owned()],
        None => vec![
            PathBuf::from("fixtures/steverau"),
            Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/steverau"),
        ],
    };
    places.iter().find(|place| place.join(LIST).is_file()).cloned().ok_or_else(|| {
        Error::new(
            Kind::Invalid,
            format!(
                "In {} liegt keine {LIST}; bitte mit --fixtures sagen, wo die Stadt liegt.",
                places[0].display()
            ),
        )
    })
}

/// Makes the town's installation, or opens the one that an earlier demonstration made.
///
/// # Errors
/// [`Kind::Conflict`] when something else lies there.
pub fn open(
    place: Place,
    settings: Settings,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Installation, Error> {
    let data = place.data.clone();
    let mark = data.join(MARK);
    let is_empty = fs::read_dir(&data).map_or(true, |mut entries| entries.next().is_none());
    if mark.is_file() {
        let installation = Installation::open(place, settings, clock, entropy)?;
        add_tenant(&installation)?;
        return Ok(installation);
    }
    if !is_empty {
        return Err(Error::new(
            Kind::Conflict,
            format!(
                "{} ist nicht leer und keine Vorführung; bitte mit --data ein anderes Verzeichnis nennen.",
                data.display()
            ),
        ));
    }
    let installation = Installation::create(place, settings, clock, entropy)?;
    // A crash before this line leaves a directory that is not taken for ours: better than the reverse.
    fs::File::create(&mark).and_then(|mut file| file.write_all(b"eakte demo\n")).map_err(|source| Error {
        kind: Kind::Unavailable,
        public: format!("{} ist nicht beschreibbar.", data.display()),
        source: Some(Box::new(source)),
    })?;
    add_tenant(&installation)?;
    Ok(installation)
}

/// The town's short name as a tenant.
pub fn tenant() -> TenantSlug {
    TENANT.parse().expect("a fixed name that follows the rules")
}

fn add_tenant(installation: &Installation) -> Result<(), Error> {
    if installation.tenants()?.contains(&tenant()) {
        return Ok(());
    }
    let new = NewTenant {
        slug: tenant(),
        name: Line::new("Stadt Steverau (erfunden)").expect("a fixed line"),
        reference_template: "{plan}-{year}/{seq}".parse().expect("a fixed template"),
    };
    installation.create_tenant(&new).map(drop)
}

/// Takes the town's papers in and waits until they are searchable. Repeating it adds nothing.
///
/// # Errors
/// When the list is not usable or the archive refuses.
pub fn load(
    archive: &Archive,
    permit: &Permit,
    fixtures: &Path,
    stop: &AtomicBool,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Done, Error> {
    let started = Instant::now();
    let (manifest, frame) = frame(archive, permit, fixtures)?;
    let list = crate::ingest::shown_path(&fixtures.join(LIST));
    let source = Source { folder: fixtures, facts: facts(&list), by_list: false, origin: Origin::Upload };
    let runs = archive.manifest_runs(permit, &manifest, &frame, &source)?;
    let files = runs.iter().map(|run| run.entries.len() as u64).sum();
    let watch =
        Watch { archive, permit, started, state: Mutex::default(), received: AtomicU64::new(0), files };
    let mut done = Done::default();
    std::thread::scope(|scope| {
        let work = scope.spawn(|| {
            let (mut rejected, mut new, mut failed) = (0, 0, 0);
            for run in runs {
                let report = |report: &FileReport| watch.file(report);
                let sum = archive.ingest(permit, &run.facts, run.entries.into_iter(), stop, &report)?;
                rejected += sum.rejected;
                new += sum.received;
                failed += sum.failed;
            }
            if failed > 0 {
                let text = format!(
                    "{failed} Dateien der Stadt konnten gerade nicht aufgenommen werden; bitte wiederholen."
                );
                return Err(Error::new(Kind::Unavailable, text));
            }
            Ok((rejected, new, started.elapsed()))
        });
        let mut seen = 0;
        loop {
            let is_running = !work.is_finished();
            let now = watch.look()?;
            progress(now);
            if stop.load(Ordering::Acquire) || (!is_running && watch.is_settled()) {
                done.progress = now;
                break;
            }
            if archive.health()?.journal.halted.is_some() {
                break;
            }
            seen = archive.indexed().wait(seen, Duration::from_millis(250));
        }
        let result = work.join().map_err(|_| Error::new(Kind::Internal, "Die Aufnahme ist abgestürzt."))?;
        (done.rejected, done.new, done.accepted_after) = result?;
        Ok::<_, Error>(())
    })?;
    done.first_searchable_after = watch.state.into_inner().unwrap_or_else(PoisonError::into_inner).first;
    done.searchable_after = started.elapsed();
    Ok(done)
}

fn frame(archive: &Archive, permit: &Permit, fixtures: &Path) -> Result<(Manifest, Frame), Error> {
    let unusable = |text: String| Error::new(Kind::Invalid, text);
    let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap_or(jiff::tz::TimeZone::UTC);
    let mut manifest =
        Manifest::read(&[fixtures.join(LIST)], &zone).map_err(|error| unusable(error.to_string()))?;
    archive.check_manifest(permit, &mut manifest)?;
    if let Some(problem) = manifest.problems.iter().chain(manifest.document_problems()).next() {
        return Err(unusable(problem.to_string()));
    }
    let frame = archive.import_frame(permit, &manifest, &mut |_| {})?;
    match frame.problems.first() {
        Some(problem) => Err(unusable(problem.to_string())),
        None => Ok((manifest, frame)),
    }
}

fn facts(list: &str) -> BatchFacts {
    BatchFacts::named("Vorführung", list)
}

/// Watches files on their way.
struct Watch<'a> {
    archive: &'a Archive,
    permit: &'a Permit,
    started: Instant,
    files: u64,
    received: AtomicU64,
    state: Mutex<Pending>,
}

#[derive(Default)]
struct Pending {
    waiting: Vec<crate::domain::DocumentId>,
    searchable: u64,
    pages: u64,
    first: Option<Duration>,
}

impl Watch<'_> {
    fn file(&self, report: &FileReport) {
        self.received.fetch_add(1, Ordering::Relaxed);
        if let FileStatus::Received(accepted) | FileStatus::Duplicate(accepted) = &report.status {
            self.state.lock().unwrap_or_else(PoisonError::into_inner).waiting.push(accepted.document);
        }
    }

    /// Looks which files have become searchable.
    fn look(&self) -> Result<Progress, Error> {
        let waiting = std::mem::take(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).waiting);
        let (mut left, mut found, mut pages) = (Vec::new(), 0, 0);
        for id in waiting {
            let state = self.archive.document(self.permit, id)?;
            if state.searchable {
                found += 1;
                pages += u64::from(state.pages().unwrap_or(0));
            } else {
                left.push(id);
            }
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.append(&mut left);
        state.searchable += found;
        state.pages += pages;
        if found > 0 {
            state.first.get_or_insert_with(|| self.started.elapsed());
        }
        Ok(Progress {
            files: self.files,
            received: self.received.load(Ordering::Relaxed),
            searchable: state.searchable,
            pages: state.pages,
        })
    }

    fn is_settled(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).waiting.is_empty()
    }
}
