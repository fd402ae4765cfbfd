//! The files of a manifest, batch by batch.

use super::super::batch::BatchFacts;
use super::super::run::Entry;
use super::super::source::{Found, shown_path};
use super::{ListedDocument, Manifest};
use crate::domain::CaseFileId;
use crate::domain::codes::{Origin, Rejection};
use crate::domain::finding::{Finding, FindingCode};
use crate::domain::text::source_name;
use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

/// Files that are taken in as one batch.
#[derive(Clone, Debug)]
pub struct ManifestRun {
    /// The batch.
    pub facts: BatchFacts,
    /// Its files, in the order of the manifest.
    pub entries: Vec<Entry>,
}

/// What is known of files beside the manifest.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    /// The folder that paths are relative to.
    pub folder: &'a Path,
    /// The batch of files for which the manifest names none.
    pub facts: BatchFacts,
    /// Whether such files form a batch for each list instead, named after it: lists arrive and are repeated one by one.
    pub by_list: bool,
    /// The origin of files for which the manifest names none.
    pub origin: Origin,
}

impl Manifest {
    /// The files, batch by batch, in the order in which the batches are first named. `targets` are case files by the
    /// names that the manifest uses; `find` looks for others.
    ///
    /// # Errors
    /// When `find` fails.
    pub fn runs<E>(
        &self,
        targets: &HashMap<String, CaseFileId>,
        source: &Source<'_>,
        find: &mut dyn FnMut(&str) -> Result<Option<CaseFileId>, E>,
    ) -> Result<Vec<ManifestRun>, E> {
        let described: HashMap<&str, &BatchFacts> =
            self.batches.iter().map(|listed| (listed.row.name.as_str(), &listed.row)).collect();
        let mut runs: Vec<ManifestRun> = Vec::new();
        let mut places = HashMap::<(Option<&str>, Option<&Path>), usize>::new();
        let mut targets = targets.clone();
        let real = source.folder.canonicalize().ok();
        let mut shown_before = HashSet::new();
        for document in &self.documents {
            let batch = document.batch.as_deref().filter(|name| described.contains_key(name));
            let list = (source.by_list && batch.is_none()).then(|| &*document.at.file);
            let place = *places.entry((batch, list)).or_insert_with(|| {
                let facts = batch.and_then(|name| described.get(name)).map_or(&source.facts, |facts| *facts);
                let mut facts = facts.clone();
                if let Some(list) = list {
                    facts.name = list_name(list);
                    facts.source.clone_from(&facts.name);
                }
                runs.push(ManifestRun { facts, entries: Vec::new() });
                runs.len() - 1
            });
            let mut entry = entry(document, source, real.as_deref());
            if let Some(name) = &document.case_file {
                entry.target = match targets.get(name) {
                    Some(known) => Some(*known),
                    None => find(name)?,
                };
                targets.extend(entry.target.map(|id| (name.clone(), id)));
                if entry.target.is_none() {
                    let detail = Some(format!("Akte „{}“ nicht gefunden", source_name(name)));
                    entry.findings.push(Finding { code: FindingCode::Unfiled, page: None, detail });
                }
            }
            // One file may be listed for several case files: each is a line of its own.
            if !shown_before.insert((place, entry.found.shown.clone())) {
                entry.found.shown = format!("{} (Zeile {})", entry.found.shown, document.at.line);
            }
            runs[place].entries.push(entry);
        }
        Ok(runs)
    }
}

/// What the batch of a list is called: the same however the list is named on the command line.
fn list_name(list: &Path) -> String {
    shown_path(&std::path::absolute(list).unwrap_or_else(|_| list.to_owned()))
}

/// The file of a document. A manifest comes from somewhere: it names files in its folder, no others.
fn entry(document: &ListedDocument, source: &Source<'_>, real: Option<&Path>) -> Entry {
    let relative = relative_path(&document.path, source.folder);
    let is_inside =
        relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let path = source.folder.join(&relative);
    let rejection = if let Some(problem) = document.problems.first() {
        Some((Rejection::Manifest, problem.to_string()))
    } else if !is_inside {
        Some((Rejection::Manifest, "Der Pfad führt aus dem Ordner der Begleitliste hinaus.".to_owned()))
    } else {
        let target = path.canonicalize().ok();
        let leaves = target.zip(real).is_some_and(|(target, real)| !target.starts_with(real));
        leaves.then(|| (Rejection::Link, "aus dem Ordner der Begleitliste hinaus".to_owned()))
    };
    let shown = if document.path.trim().is_empty() {
        format!("Zeile {}", document.at.line)
    } else {
        shown_path(Path::new(&document.path))
    };
    let mut arrival = document.arrival.clone();
    if !document.has_origin {
        arrival.origin = source.origin;
    }
    Entry {
        found: Found { path, shown, rejection },
        arrival,
        target: None,
        findings: Vec::new(),
        declared: document.declared.clone(),
    }
}

/// The path of a row. Lists made on Windows separate folders with `\`.
fn relative_path(text: &str, folder: &Path) -> PathBuf {
    if text.contains('\\') && !folder.join(text).exists() {
        PathBuf::from(text.replace('\\', "/"))
    } else {
        PathBuf::from(text)
    }
}
