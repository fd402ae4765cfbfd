//! What an `ingest` takes in: files and trees, or what manifests list.

use super::super::args::{Facts, Ingest};
use super::super::context::Desk;
use super::super::failure::Failure;
use super::super::out::{counted, hint};
use crate::archive::{Error, Filer, Frame, Kind, NewByPath, Shelf, Source};
use crate::domain::codes::Rejection;
use crate::domain::document::Arrival;
use crate::domain::finding::{Finding, FindingCode};
use crate::domain::text::Line;
use crate::domain::{CaseFileId, Digest};
use crate::ingest::manifest::Manifest;
use crate::ingest::{BatchFacts, Declared, Entry, Found, Walk, shown_path};
use crate::wording;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Files that become one batch.
pub(in crate::cli) struct Run<'a> {
    pub(in crate::cli) facts: BatchFacts,
    pub(in crate::cli) entries: Box<dyn Iterator<Item = Entry> + Send + 'a>,
    /// How many, if that is known.
    pub(in crate::cli) total: Option<u64>,
}

/// Where files go: the archive in this directory, or one behind a server.
pub(in crate::cli) trait Destination {
    /// The zone in which the tenant counts days.
    fn time_zone(&self) -> Result<String, Error>;
    /// Case files.
    fn shelf(&self) -> Box<dyn Shelf + Send + '_>;
    /// The case file that everything goes into, if it takes documents.
    fn target(&self, name: &str) -> Result<CaseFileId, Failure>;
    /// Holds a manifest against what is recorded.
    fn check(&self, manifest: &mut Manifest) -> Result<(), Error>;
    /// Writes the frame of a manifest that was checked.
    fn import(&self, manifest: &Manifest, progress: &mut dyn FnMut(u64)) -> Result<Frame, Error>;
}

impl Destination for Desk {
    fn time_zone(&self) -> Result<String, Error> {
        Ok(self.archive.tenant()?.time_zone)
    }

    fn shelf(&self) -> Box<dyn Shelf + Send + '_> {
        self.archive.shelf(&self.permit)
    }

    fn target(&self, name: &str) -> Result<CaseFileId, Failure> {
        let found = self.archive.find_case_file(&self.permit, name)?;
        let id = found.ok_or_else(|| Failure::refused(format!("Die Akte „{name}“ gibt es nicht.")))?;
        self.archive.case_file(&self.permit, id)?.state(id).takes_documents().map_err(Error::from)?;
        Ok(id)
    }

    fn check(&self, manifest: &mut Manifest) -> Result<(), Error> {
        self.archive.check_manifest(&self.permit, manifest)
    }

    fn import(&self, manifest: &Manifest, progress: &mut dyn FnMut(u64)) -> Result<Frame, Error> {
        self.archive.import_frame(&self.permit, manifest, progress)
    }
}

/// The capture facts on the command line.
fn facts(args: &Facts, name: &str, source: &str) -> BatchFacts {
    let text = |line: &Option<Line>| line.as_ref().map(Line::to_string);
    BatchFacts {
        name: args.batch.as_ref().map_or_else(|| name.to_owned(), Line::to_string),
        source: source.to_owned(),
        box_label: text(&args.box_label),
        person: text(&args.person),
        station: text(&args.station),
        scanner: text(&args.scanner),
        profile: text(&args.profile),
        scanned_at: args.scanned_at,
        procedure_version: text(&args.procedure_version),
        sheets_expected: args.sheets,
        pages_expected: args.pages,
        anomalies: args.anomaly.iter().map(Line::to_string).collect(),
    }
}

/// What is known of every file.
pub(super) fn arrival(args: &Facts) -> Arrival {
    Arrival { classification: args.classification, ..Arrival::named("", args.origin) }
}

/// Insists that every path exists: a mistyped one is a mistake of the command line, not a rejected file.
pub(super) fn check_paths(args: &Ingest) -> Result<(), Failure> {
    for path in &args.paths {
        if let Err(error) = fs::symlink_metadata(path) {
            return Err(Failure::usage(format!(
                "{} ist nicht da oder nicht lesbar ({}).",
                path.display(),
                wording::os(&error)
            )));
        }
    }
    if let (false, [first, rest @ ..]) = (args.manifest.is_empty(), args.paths.as_slice())
        && (!rest.is_empty() || !first.is_dir())
    {
        return Err(Failure::usage(
            "Zu --manifest gehört höchstens ein Ordner, auf den sich die Pfade beziehen.",
        ));
    }
    Ok(())
}

/// The folder below which paths are shown, and the name of the batch, which is the same whenever the same paths
/// are named: so a repeated run resumes its batch.
struct Root {
    folder: PathBuf,
    name: String,
}

impl Root {
    fn of(paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut full = Vec::with_capacity(paths.len());
        for path in paths {
            full.push(std::path::absolute(path).map_err(|error| {
                Failure::usage(format!(
                    "{} ist kein brauchbarer Pfad ({}).",
                    path.display(),
                    wording::os(&error)
                ))
            })?);
        }
        if let [single] = full.as_slice() {
            let name = shown_path(single);
            let parent = single.parent().unwrap_or(single).to_owned();
            let folder = if single.is_dir() { single.clone() } else { parent };
            return Ok(Self { folder, name });
        }
        let mut folder = full[0].parent().unwrap_or(&full[0]).to_owned();
        while !full.iter().all(|path| path.starts_with(&folder)) && folder.pop() {}
        full.sort();
        full.dedup();
        let all: Vec<u8> =
            full.iter().flat_map(|path| [path.as_os_str().as_encoded_bytes(), b"\0"].concat()).collect();
        let digest = Digest::of(&all).to_string();
        Ok(Self {
            name: format!("{} ({} Quellen, {})", shown_path(&folder), full.len(), &digest[..8]),
            folder,
        })
    }

    /// A path below the root.
    fn relative(&self, path: &Path) -> PathBuf {
        let full = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        full.strip_prefix(&self.folder).map_or_else(|_| path.to_owned(), Path::to_path_buf)
    }
}

/// Files and trees as one batch.
pub(super) fn trees<'a>(to: &'a dyn Destination, args: &'a Ingest, count: bool) -> Result<Run<'a>, Failure> {
    let root = Root::of(&args.paths)?;
    let facts = facts(&args.facts, &root.name, &root.name);
    let total = count.then(|| args.paths.iter().map(|path| Walk::new(path).count() as u64).sum());
    let target = args.case_file.as_ref().map(|name| to.target(name)).transpose()?;
    let arrival = arrival(&args.facts);
    let create = args
        .create_case_files
        .then(|| NewByPath { unit: args.unit.clone(), case_type: args.case_type.clone() });
    if let (Some(_), Some(template)) = (&create, &args.template)
        && !template.opens_case_files()
    {
        return Err(Failure::usage("Für --create-case-files braucht die Vorlage {plan} und {title}."));
    }
    let mut filer = args.template.as_ref().map(|template| Filer::over(to.shelf(), template, create));
    let entries = args.paths.iter().flat_map(|path| Walk::new(path)).map(move |found| {
        let relative = root.relative(&found.path);
        let found = Found { shown: shown_path(&relative), ..found };
        let named = named(&arrival, &found.path);
        match &mut filer {
            Some(filer) => filer.entry(found, &relative, &named),
            None => {
                Entry { found, arrival: named, target, findings: Vec::new(), declared: Declared::default() }
            }
        }
    });
    Ok(Run { facts, entries: Box::new(entries), total })
}

fn named(arrival: &Arrival, path: &Path) -> Arrival {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Arrival { source_name: crate::domain::text::source_name(&name), ..arrival.clone() }
}

/// Reads manifests and holds them against the archive. Says what is wrong; `None` means that nothing may be written.
pub(super) fn read_manifest(to: &dyn Destination, args: &Ingest) -> Result<Option<Manifest>, Failure> {
    const SHOWN: usize = 50;
    let zone = jiff::tz::TimeZone::get(&to.time_zone()?).unwrap_or(jiff::tz::TimeZone::UTC);
    let mut manifest = Manifest::read(&args.manifest, &zone)?;
    to.check(&mut manifest)?;
    for note in &manifest.notes {
        hint(format!("Hinweis: {note}"));
    }
    let problems: Vec<_> = manifest.problems.iter().chain(manifest.document_problems()).collect();
    for problem in problems.iter().take(SHOWN) {
        hint(problem);
    }
    if problems.len() > SHOWN {
        hint(format!("… und {} weitere", problems.len() - SHOWN));
    }
    Ok((args.skip_invalid || manifest.problems.is_empty()).then_some(manifest))
}

/// Writes a manifest's frame and makes runs of its documents.
pub(super) fn listed<'a>(
    to: &'a dyn Destination,
    args: &'a Ingest,
    manifest: &Manifest,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<Run<'a>>, Failure> {
    let first = std::path::absolute(&args.manifest[0]).unwrap_or_else(|_| args.manifest[0].clone());
    let folder = match args.paths.first() {
        Some(folder) => folder.clone(),
        None => first.parent().unwrap_or(Path::new(".")).to_owned(),
    };
    let frame = to.import(manifest, progress)?;
    for problem in &frame.problems {
        hint(problem);
    }
    if !frame.problems.is_empty() && !args.skip_invalid {
        return Err(Failure::refused(
            "Diese Zeilen widersprechen dem Archiv. Mit --skip-invalid werden sie ausgelassen.",
        ));
    }
    for (tally, one, many) in [
        (frame.units, "Organisationseinheit", "Organisationseinheiten"),
        (frame.plan_units, "Aktenplaneinheit", "Aktenplaneinheiten"),
        (frame.case_files, "Akte", "Akten"),
    ] {
        if tally.new + tally.known > 0 {
            hint(format!("{}, davon {} neu", counted(tally.new + tally.known, one, many), tally.new));
        }
    }
    let name = shown_path(&std::path::absolute(&folder).unwrap_or_else(|_| folder.clone()));
    let source = Source {
        folder: &folder,
        facts: facts(&args.facts, &name, &name),
        by_list: args.facts.batch.is_none(),
        origin: args.facts.origin,
    };
    let shelf = to.shelf();
    let runs = manifest.runs(&frame.targets, &source, &mut |name| match shelf.find(name) {
        Err(error) if error.kind == Kind::Conflict => Ok(None),
        found => found,
    })?;
    let known: HashSet<PathBuf> =
        runs.iter().flat_map(|run| &run.entries).map(|entry| clean(&entry.found.path)).collect();
    let mut runs: Vec<Run<'a>> = runs
        .into_iter()
        .map(|run| Run {
            total: Some(run.entries.len() as u64),
            facts: run.facts,
            entries: Box::new(run.entries.into_iter()),
        })
        .collect();
    if !args.paths.is_empty() {
        runs.extend(unlisted(args, &folder, &known, &name));
    }
    Ok(runs)
}

fn clean(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).components().collect()
}

/// Files that lie in the named folder and that no manifest lists: they are not lost, they wait in the inbox.
fn unlisted<'a>(args: &'a Ingest, folder: &Path, known: &HashSet<PathBuf>, name: &str) -> Option<Run<'a>> {
    let manifests: HashSet<PathBuf> = args.manifest.iter().map(|path| clean(path)).collect();
    let arrival = arrival(&args.facts);
    let entries: Vec<Entry> = Walk::new(folder)
        .filter(|found| !known.contains(&clean(&found.path)) && !manifests.contains(&clean(&found.path)))
        .map(|found| Entry {
            arrival: named(&arrival, &found.path),
            target: None,
            findings: vec![Finding {
                code: FindingCode::Unfiled,
                page: None,
                detail: Some("steht in keiner Begleitliste".to_owned()),
            }],
            declared: Declared::default(),
            found,
        })
        .collect();
    if entries.is_empty() {
        return None;
    }
    hint(format!(
        "{} in keiner Begleitliste.",
        counted(entries.len() as u64, "Datei steht", "Dateien stehen")
    ));
    let name = format!("{name} (nicht aufgeführt)");
    let facts = BatchFacts { name: name.clone(), source: name, ..facts(&args.facts, "", "") };
    let total = Some(entries.len() as u64);
    Some(Run { facts, entries: Box::new(entries.into_iter()), total })
}

/// The reason of a rejection for people.
pub(in crate::cli) fn sentence(rejection: Rejection, detail: Option<&str>) -> String {
    match detail {
        Some(detail) => format!("{} ({detail})", rejection.sentence()),
        None => rejection.sentence().to_owned(),
    }
}
