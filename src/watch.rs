//! Hot folders (Eingangsordner): what is put there is taken in.
//!
//! A file is taken once it has stopped changing, and it is moved to `erledigt/` only after its commit: a crash at any
//! moment leaves it where it is, and then it is recognised and moved. What cannot be stored goes to `abgelehnt/` with
//! its reason beside it. Nothing is deleted and nothing overwritten. Every folder on the first level is a batch; loose
//! files form one batch for each time that some have arrived. Polling works on network shares, too.

use crate::archive::{Archive, Error, Filer, Kind, NewByPath, Permit, Source};
use crate::domain::codes::{Origin, Rejection};
use crate::domain::document::Arrival;
use crate::domain::text::{Line, source_name};
use crate::ingest::manifest::Manifest;
use crate::ingest::template::PathTemplate;
use crate::ingest::{BatchFacts, Declared, Entry, FileReport, FileStatus, Found, Walk, shown_path};
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Where files go that were taken in.
pub const DONE: &str = "erledigt";

/// Where files go that were not stored.
pub const REFUSED: &str = "abgelehnt";

/// Holds the name of a batch while it is open, so that a restart resumes it; for loose files in the hot folder, for
/// a folder of the first level in that folder.
const OPEN_BATCH: &str = ".eakte-charge";

/// Lists that may lie in a folder.
const MANIFESTS: [&str; 4] = ["manifest.jsonl", "manifest.csv", "begleitliste.jsonl", "begleitliste.csv"];

/// How long a file that could not be taken or moved is left alone, unless it changes.
const LEFT_ALONE: Duration = Duration::from_mins(10);

/// Eingangsordner.
#[derive(Clone, Debug)]
pub struct HotFolder {
    /// The folder.
    pub path: PathBuf,
    /// Which case file a path below the folder means.
    pub template: Option<PathTemplate>,
    /// Whether case files are opened that the template names and that do not exist.
    pub creates_case_files: bool,
    /// For how long a file must not have changed.
    pub stable_for: Duration,
    /// How often the folder is looked at.
    pub poll_every: Duration,
}

/// Takes in what is put into the folder, until `stop` is set.
pub fn watch(archive: &Archive, permit: &Permit, folder: &HotFolder, stop: &AtomicBool) {
    let mut watcher = Watcher { archive, permit, folder, stop, seen: HashMap::new(), sore: HashMap::new() };
    let mut is_away = false;
    while !stop.load(Ordering::Acquire) {
        match watcher.sweep() {
            Ok(()) => is_away = false,
            Err(error) => {
                // A share that is away for the night is one line in the log, not thousands.
                if !is_away {
                    tracing::warn!(tenant = %archive.slug(), kind = ?error.kind, %error, "a hot folder rests");
                }
                is_away = true;
            }
        }
        let until = Instant::now() + folder.poll_every.max(Duration::from_millis(50));
        while Instant::now() < until && !stop.load(Ordering::Acquire) {
            std::thread::sleep(
                Duration::from_millis(50).min(until.saturating_duration_since(Instant::now())),
            );
        }
    }
}

/// What a file looks like from outside: when it changes, the file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    changed: (i64, i64),
    inode: u64,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let facts = fs::symlink_metadata(path).ok()?;
        Some(Self { size: facts.len(), changed: (facts.mtime(), facts.mtime_nsec()), inode: facts.ino() })
    }
}

struct Watcher<'a> {
    archive: &'a Archive,
    permit: &'a Permit,
    folder: &'a HotFolder,
    stop: &'a AtomicBool,
    /// Files with their stamp, and since when they have had it.
    seen: HashMap<PathBuf, (Stamp, Instant)>,
    /// Files that gave trouble, with the stamp they had then.
    sore: HashMap<PathBuf, (Stamp, Instant)>,
}

impl Watcher<'_> {
    /// Looks once, and takes in what is ready.
    fn sweep(&mut self) -> Result<(), Error> {
        let root = &self.folder.path;
        let unreadable = |source: io::Error| Error {
            kind: Kind::Unavailable,
            public: "Ein Eingangsordner ist nicht lesbar.".to_owned(),
            source: Some(Box::new(source)),
        };
        let (mut loose, mut folders) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(root).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let name = path.file_name().unwrap_or_default();
            if is_unfinished(name) || is_ignored(name) || name == DONE || name == REFUSED {
                continue;
            }
            if fs::symlink_metadata(&path).is_ok_and(|facts| facts.is_dir()) {
                folders.push(path);
            } else {
                loose.push(path);
            }
        }
        loose.sort();
        folders.sort();
        let mut present = HashSet::new();
        let ready: Vec<PathBuf> =
            loose.into_iter().filter(|path| self.is_ready(path, &mut present)).collect();
        self.take_loose(ready)?;
        for folder in folders {
            if self.stop.load(Ordering::Acquire) {
                break;
            }
            let files = Walk::new(&folder).filter(|found| !found.path.file_name().is_some_and(is_ignored));
            let files: Vec<Found> = files.collect();
            // One whose files were all moved before a crash still has an open batch.
            let mut is_complete = !files.is_empty() || folder.join(OPEN_BATCH).exists();
            for found in &files {
                // An unfinished file anywhere means that someone is still writing to this batch.
                let is_written = found.path.file_name().is_some_and(is_unfinished);
                is_complete &= self.is_ready(&found.path, &mut present) && !is_written;
            }
            if is_complete {
                self.take_folder(&folder, files)?;
            }
        }
        self.seen.retain(|path, _| present.contains(path));
        self.sore.retain(|path, _| present.contains(path));
        Ok(())
    }

    /// Whether a file has been left alone by its writer for long enough, and gives no trouble.
    fn is_ready(&mut self, path: &Path, present: &mut HashSet<PathBuf>) -> bool {
        let Some(stamp) = Stamp::of(path) else { return false };
        present.insert(path.to_owned());
        let now = Instant::now();
        if let Some((sore, since)) = self.sore.get(path)
            && *sore == stamp
            && now.duration_since(*since) < LEFT_ALONE
        {
            return false;
        }
        let known = self.seen.entry(path.to_owned()).or_insert((stamp, now));
        if known.0 != stamp {
            *known = (stamp, now);
        }
        now.duration_since(known.1) >= self.folder.stable_for && !is_held(path)
    }

    fn hurt(&mut self, path: &Path) {
        if let Some(stamp) = Stamp::of(path) {
            self.sore.insert(path.to_owned(), (stamp, Instant::now()));
        }
    }

    /// Takes in files that lie in the folder itself.
    fn take_loose(&mut self, files: Vec<PathBuf>) -> Result<(), Error> {
        let mark = self.folder.path.join(OPEN_BATCH);
        let interrupted = fs::read_to_string(&mark).ok().and_then(|text| Line::new(&text).ok());
        if files.is_empty() && interrupted.is_none() {
            return Ok(());
        }
        let name = if let Some(name) = interrupted {
            name.to_string()
        } else {
            let folder = self.folder.path.file_name().unwrap_or_default().to_string_lossy();
            let name = format!("{} {}", source_name(&folder), self.archive.now());
            note(&mark, &name)?;
            name
        };
        let found = files.into_iter().map(|path| {
            let shown = shown_path(Path::new(path.file_name().unwrap_or_default()));
            Found { path, shown, rejection: None }
        });
        let source = shown_path(&self.folder.path);
        if self.run(&facts(&name, &source), found.collect())? {
            // The batch is closed; without this mark the next files get a batch of their own.
            let _ = fs::remove_file(&mark);
        }
        Ok(())
    }

    /// Takes in a folder of the first level as a batch.
    fn take_folder(&mut self, folder: &Path, files: Vec<Found>) -> Result<(), Error> {
        let name = source_name(&folder.file_name().unwrap_or_default().to_string_lossy());
        let facts = facts(&name, &shown_path(folder));
        let list = files.iter().find(|found| {
            found.path.parent() == Some(folder) && found.path.file_name().is_some_and(is_manifest)
        });
        let mark = folder.join(OPEN_BATCH);
        let Some(list) = list.map(|found| found.path.clone()) else {
            note(&mark, &name)?;
            if self.run(&facts, files)? {
                let _ = fs::remove_file(&mark);
            }
            prune(folder);
            return Ok(());
        };
        let zone = jiff::tz::TimeZone::get(&self.archive.tenant()?.time_zone);
        let read = Manifest::read(std::slice::from_ref(&list), &zone.unwrap_or(jiff::tz::TimeZone::UTC));
        let mut manifest = match read {
            Ok(manifest) => manifest,
            Err(error) => {
                self.refuse_list(&list, &[error.to_string()]);
                return Ok(());
            }
        };
        self.archive.check_manifest(self.permit, &mut manifest)?;
        if !manifest.problems.is_empty() {
            let problems: Vec<String> = manifest.problems.iter().map(ToString::to_string).collect();
            self.refuse_list(&list, &problems);
            return Ok(());
        }
        let frame = self.archive.import_frame(self.permit, &manifest, &mut |_| {})?;
        if !frame.problems.is_empty() {
            let problems: Vec<String> = frame.problems.iter().map(ToString::to_string).collect();
            self.refuse_list(&list, &problems);
            return Ok(());
        }
        let source = Source { folder, facts: facts.clone(), by_list: false, origin: Origin::Scan };
        let mut is_whole = true;
        let mut listed = HashSet::new();
        for run in self.archive.manifest_runs(self.permit, &manifest, &frame, &source)? {
            listed.extend(run.entries.iter().map(|entry| plain(&entry.found.path)));
            is_whole &= self.run_entries(&run.facts, run.entries)?;
        }
        let rest: Vec<Found> = files
            .into_iter()
            .filter(|found| found.path != list && !listed.contains(&plain(&found.path)))
            .collect();
        if !rest.is_empty() {
            // Not listed and not lost: these wait in the inbox.
            let name = format!("{} (nicht aufgeführt)", facts.name);
            is_whole &= self.run(&BatchFacts { name, ..facts }, rest)?;
        }
        // The list goes last: until then a crash leads through all of this again.
        if is_whole {
            self.put_away(&list, DONE);
            let _ = fs::remove_file(&mark);
            prune(folder);
        }
        Ok(())
    }

    /// Says beside the batch what is wrong with its list, and leaves both alone until the list changes.
    fn refuse_list(&mut self, list: &Path, problems: &[String]) {
        self.hurt(list);
        let folder =
            list.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
        let text =
            format!("Die Begleitliste ist nicht brauchbar; bitte berichtigen.\n{}\n", problems.join("\n"));
        let target = self.folder.path.join(REFUSED).join(format!("{folder}.grund.txt"));
        if let Err(error) = write_reason(&target, &text) {
            tracing::warn!(tenant = %self.archive.slug(), %error, "a reason could not be written");
        }
        tracing::warn!(tenant = %self.archive.slug(), problems = problems.len(), "a manifest in a hot folder is not usable");
    }

    fn run(&mut self, facts: &BatchFacts, found: Vec<Found>) -> Result<bool, Error> {
        let root = self.folder.path.clone();
        let real = root.canonicalize().ok();
        let create = self
            .folder
            .creates_case_files
            .then(|| NewByPath { unit: None, case_type: Line::new("Akte").expect("a fixed word") });
        let template = self.folder.template.clone();
        let mut filer =
            template.as_ref().map(|template| Filer::new(self.archive, self.permit, template, create));
        let mut entries = Vec::with_capacity(found.len());
        for mut found in found {
            // Whoever may write to the folder must not reach other files of this machine through a link.
            let leaves =
                found.path.canonicalize().ok().zip(real.as_ref()).is_some_and(|(t, r)| !t.starts_with(r));
            if leaves && found.rejection.is_none() {
                found.rejection = Some((Rejection::Link, "aus dem Eingangsordner hinaus".to_owned()));
            }
            let relative = found.path.strip_prefix(&root).unwrap_or(&found.path).to_owned();
            let name = found.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let arrival = Arrival::named(&name, Origin::Scan);
            entries.push(match &mut filer {
                Some(filer) => filer.entry(found, &relative, &arrival),
                None => Entry {
                    found,
                    arrival,
                    target: None,
                    findings: Vec::new(),
                    declared: Declared::default(),
                },
            });
        }
        drop(filer);
        self.run_entries(facts, entries)
    }

    /// Takes entries in and moves their files. Whether the batch is closed.
    fn run_entries(&mut self, facts: &BatchFacts, entries: Vec<Entry>) -> Result<bool, Error> {
        let refused = Mutex::new(Vec::new());
        let stuck = Mutex::new(Vec::new());
        let failed = Mutex::new(Vec::new());
        let push =
            |list: &Mutex<Vec<_>>, item| list.lock().unwrap_or_else(PoisonError::into_inner).push(item);
        let report = |report: &FileReport| match &report.status {
            // The commit is durable: the file may go. A crash before the move leads to a duplicate, which is moved.
            FileStatus::Received(_) | FileStatus::Duplicate(_) => {
                if self.move_away(&report.path, DONE).is_none() {
                    push(&stuck, (report.path.clone(), String::new()));
                }
            }
            // Its line is durable only when the run has ended.
            FileStatus::Rejected(rejection, detail) => {
                let detail = detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
                push(&refused, (report.path.clone(), format!("{}{detail}\n", rejection.sentence())));
            }
            FileStatus::Failed(_) => push(&failed, (report.path.clone(), String::new())),
        };
        let done = self.archive.ingest(self.permit, facts, entries.into_iter(), self.stop, &report)?;
        let take = |list: Mutex<Vec<_>>| list.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (refused, stuck, failed): (Vec<(PathBuf, String)>, _, _) =
            (take(refused), take(stuck), take(failed));
        for (path, reason) in &refused {
            let Some(target) = self.put_away(path, REFUSED) else { continue };
            let mut target = target.into_os_string();
            target.push(".grund.txt");
            if let Err(error) = write_reason(Path::new(&target), reason) {
                tracing::warn!(tenant = %self.archive.slug(), %error, "a reason could not be written");
            }
        }
        for (path, _) in stuck.iter().chain(&failed) {
            self.hurt(path);
        }
        if done.files > 0 {
            tracing::info!(
                tenant = %self.archive.slug(),
                received = done.received,
                duplicate = done.duplicate,
                rejected = done.rejected,
                failed = done.failed,
                unmoved = stuck.len(),
                "a hot folder was emptied"
            );
        }
        Ok(done.failed == 0 && !self.stop.load(Ordering::Acquire))
    }

    /// Moves a file, or leaves it alone for a while.
    fn put_away(&mut self, path: &Path, place: &str) -> Option<PathBuf> {
        let moved = self.move_away(path, place);
        if moved.is_none() {
            self.hurt(path);
        }
        moved
    }

    /// Where a file goes.
    fn target(&self, path: &Path, place: &str) -> PathBuf {
        let relative = path.strip_prefix(&self.folder.path).unwrap_or(path);
        let safe: PathBuf =
            relative.components().filter(|part| matches!(part, Component::Normal(_))).collect();
        self.folder.path.join(place).join(safe)
    }

    /// Where the file is now; `None` when it stays.
    fn move_away(&self, path: &Path, place: &str) -> Option<PathBuf> {
        let target = self.target(path, place);
        match move_file(path, &target) {
            Ok(moved) => Some(moved),
            // Someone took it away meanwhile, or it never was there.
            Err(error) if error.kind() == io::ErrorKind::NotFound && Stamp::of(path).is_none() => {
                Some(target)
            }
            Err(error) => {
                tracing::warn!(tenant = %self.archive.slug(), %error, "a file stays in its hot folder");
                None
            }
        }
    }
}

fn facts(name: &str, source: &str) -> BatchFacts {
    BatchFacts::named(name, source)
}

/// Names under which programs write what is not finished.
fn is_unfinished(name: &OsStr) -> bool {
    const ENDINGS: [&str; 7] = [".part", ".partial", ".tmp", ".temp", ".crdownload", ".filepart", "~"];
    let name = name.to_string_lossy().to_lowercase();
    name.starts_with('~') || ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// What systems leave behind, and our own mark.
fn is_ignored(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_lowercase();
    name.starts_with('.') || name == "thumbs.db" || name == "desktop.ini"
}

/// A path without `.` in it, for comparing.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

fn is_manifest(name: &OsStr) -> bool {
    MANIFESTS.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Whether a program has locked the file, as far as that can be seen.
fn is_held(path: &Path) -> bool {
    if !fs::symlink_metadata(path).is_ok_and(|facts| facts.is_file()) {
        return false;
    }
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
}

/// Moves a file within its file system without ever replacing another: a taken name gets a number.
fn move_file(from: &Path, to: &Path) -> io::Result<PathBuf> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    let stem = to.file_stem().unwrap_or_default().to_os_string();
    for number in 1..10_000_u32 {
        let target = if number == 1 {
            to.to_owned()
        } else {
            let mut name = stem.clone();
            name.push(format!(" ({number})"));
            if let Some(ending) = to.extension() {
                name.push(".");
                name.push(ending);
            }
            to.with_file_name(name)
        };
        match renameat_with(CWD, from, CWD, &target, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(target),
            Err(rustix::io::Errno::EXIST) => {}
            // Network file systems that cannot do this in one step.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                if fs::symlink_metadata(&target).is_err() {
                    return fs::rename(from, &target).map(|()| target);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "kein freier Name"))
}

/// Writes a small text under a free name.
fn write_reason(target: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    File::create(target)?.write_all(text.as_bytes())
}

/// Notes the name of the open batch, durably.
fn note(path: &Path, name: &str) -> Result<(), Error> {
    let noted = File::create(path).and_then(|mut file| {
        file.write_all(name.as_bytes())?;
        file.sync_all()
    });
    noted.map_err(|source| Error {
        kind: Kind::Unavailable,
        public: "Ein Eingangsordner ist nicht beschreibbar.".to_owned(),
        source: Some(Box::new(source)),
    })
}

/// Removes a folder that has become empty, with its empty folders.
fn prune(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            prune(&entry.path());
        }
    }
    // Fails when something is left in it, as it should.
    let _ = fs::remove_dir(folder);
}
