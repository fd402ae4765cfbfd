//! Taking a manifest over: first the frame (units, file plan, case files), then files in batches. Repeating it adds
//! nothing: everything is found by its code, key or reference.

use super::{Archive, Error, Kind, NewCaseFile, NewPlanUnit, NewUnit, Permission, Permit};
use crate::domain::case_file::OpenCaseFile;
use crate::domain::codes::{Disposal, Origin, Rejection};
use crate::domain::event::PlanUnitCreated;
use crate::domain::finding::{Finding, FindingCode};
use crate::domain::plan::PlanUnit;
use crate::domain::text::{Line, source_name};
use crate::domain::{CaseFileId, PlanUnitId, UnitId};
use crate::ingest::manifest::{At, ListedCaseFile, ListedDocument, Manifest, Problem};
use crate::ingest::{BatchFacts, Entry, Found, shown_path};
use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};
use uuid::Uuid;

/// How many there were, and how many of them were new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Made now.
    pub new: u64,
    /// There already.
    pub known: u64,
}

impl Tally {
    fn count(&mut self, is_new: bool) {
        *(if is_new { &mut self.new } else { &mut self.known }) += 1;
    }
}

/// A manifest's frame, as it is in the archive now.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// Organisationseinheiten.
    pub units: Tally,
    /// Aktenplaneinheiten.
    pub plan_units: Tally,
    /// Akten.
    pub case_files: Tally,
    /// Rows that the archive refused after all.
    pub problems: Vec<Problem>,
    /// Case files by the key and by the reference that the manifest uses.
    targets: HashMap<String, CaseFileId>,
}

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

impl Archive {
    /// Holds a manifest against what is recorded. Rows that cannot be used are taken out and become problems of
    /// the manifest. Nothing is written.
    ///
    /// # Errors
    /// When the catalogue is broken.
    pub fn check_manifest(&self, permit: &Permit, manifest: &mut Manifest) -> Result<(), Error> {
        permit.require(Permission::Ingest)?;
        let problems = &mut manifest.problems;
        let mut units = HashSet::new();
        let mut kept = Vec::with_capacity(manifest.units.len());
        for listed in std::mem::take(&mut manifest.units) {
            let parent = listed.row.parent.as_ref().map(Line::as_str);
            if parent.is_none_or(|parent| units.contains(parent))
                || self.knows_unit(parent.unwrap_or_default())?
            {
                units.insert(listed.row.code.to_string());
                kept.push(listed);
            } else {
                problems.push(unknown(&listed.at, "parent", "die Organisationseinheit", parent));
            }
        }
        manifest.units = kept;

        let mut plan = HashMap::<String, PlanUnitCreated>::new();
        let mut kept = Vec::with_capacity(manifest.plan_units.len());
        for listed in std::mem::take(&mut manifest.plan_units) {
            let row = &listed.row;
            let above = match &row.parent {
                None => None,
                Some(parent) => {
                    let Some(above) = self.planned(&plan, parent.as_str())? else {
                        let code = Some(parent.as_str());
                        problems.push(unknown(&listed.at, "parent", "die Aktenplaneinheit", code));
                        continue;
                    };
                    Some(above)
                }
            };
            let class = row.retention_class.as_ref().map(ToString::to_string);
            let planned = self.planned(&plan, row.code.as_str())?.unwrap_or_else(|| PlanUnitCreated {
                code: row.code.to_string(),
                title: row.title.to_string(),
                parent: None,
                retention_class: class.or_else(|| above.and_then(|above| above.retention_class)),
                disposal: None::<Disposal>,
                legal_basis: None,
            });
            plan.insert(row.code.to_string(), planned);
            kept.push(listed);
        }
        manifest.plan_units = kept;

        let mut kept = Vec::with_capacity(manifest.case_files.len());
        for listed in std::mem::take(&mut manifest.case_files) {
            let row = &listed.row;
            let plan_unit = self.planned(&plan, row.plan_unit.as_str())?;
            if !units.contains(row.unit.as_str()) && !self.knows_unit(row.unit.as_str())? {
                problems.push(unknown(
                    &listed.at,
                    "unit",
                    "die Organisationseinheit",
                    Some(row.unit.as_str()),
                ));
            } else if let Some(data) = plan_unit {
                let plan_unit = PlanUnit { id: PlanUnitId::from_uuid(Uuid::nil()), data };
                match wish(row, UnitId::from_uuid(Uuid::nil())).check(&plan_unit) {
                    Ok(()) => kept.push(listed),
                    Err(refusal) => {
                        problems.push(Problem { at: listed.at, column: None, detail: refusal.to_string() });
                    }
                }
            } else {
                let code = Some(row.plan_unit.as_str());
                problems.push(unknown(&listed.at, "plan_unit", "die Aktenplaneinheit", code));
            }
        }
        manifest.case_files = kept;
        Ok(())
    }

    fn knows_unit(&self, code: &str) -> Result<bool, Error> {
        Ok(self.catalogue.unit_by_code(code)?.is_some())
    }

    /// What is or will be recorded of a plan unit.
    fn planned(
        &self,
        listed: &HashMap<String, PlanUnitCreated>,
        code: &str,
    ) -> Result<Option<PlanUnitCreated>, Error> {
        if let Some(id) = self.catalogue.plan_unit_by_code(code)? {
            return Ok(self.catalogue.plan_unit(id)?.map(|row| row.data));
        }
        Ok(listed.get(code).cloned())
    }

    /// Writes the frame of a manifest that was checked. `progress` hears how many case files are done.
    ///
    /// # Errors
    /// When units or plan units cannot be written; a case file's failure is among the frame's problems.
    pub fn import_frame(
        &self,
        permit: &Permit,
        manifest: &Manifest,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Frame, Error> {
        const AT_ONCE: usize = 500;
        let mut frame = Frame::default();
        for listed in &manifest.units {
            let row = listed.row.clone();
            let new = NewUnit { code: row.code, name: row.name, parent: row.parent };
            frame.units.count(self.create_unit(permit, &new)?.1);
        }
        for listed in &manifest.plan_units {
            let row = listed.row.clone();
            let new = NewPlanUnit {
                code: row.code,
                title: row.title,
                parent: row.parent,
                retention_class: row.retention_class,
                disposal: row.disposal,
                legal_basis: row.legal_basis,
            };
            frame.plan_units.count(self.create_plan_unit(permit, &new)?.1);
        }
        for chunk in manifest.case_files.chunks(AT_ONCE) {
            let mut new = Vec::with_capacity(chunk.len());
            for listed in chunk {
                let unit = self.unit_named(listed.row.unit.as_str())?;
                new.push(NewCaseFile {
                    plan_unit: listed.row.plan_unit.clone(),
                    wish: wish(&listed.row, unit),
                });
            }
            for (listed, result) in chunk.iter().zip(self.open_case_files(permit, &new)) {
                match result {
                    Ok((id, is_new)) => {
                        frame.case_files.count(is_new);
                        let row = &listed.row;
                        frame.targets.extend(row.key.as_ref().map(|key| (key.to_string(), id)));
                        frame.targets.extend(row.reference.as_ref().map(|name| (name.to_string(), id)));
                    }
                    Err(error) if matches!(error.kind, Kind::Invalid | Kind::Conflict) => {
                        let (at, detail) = (listed.at.clone(), error.public);
                        frame.problems.push(Problem { at, column: None, detail });
                    }
                    Err(error) => return Err(error),
                }
            }
            progress(frame.case_files.new + frame.case_files.known);
        }
        Ok(frame)
    }

    /// The files of a manifest, batch by batch, in the order in which the batches are first named.
    ///
    /// # Errors
    /// When the catalogue is broken.
    pub fn manifest_runs(
        &self,
        permit: &Permit,
        manifest: &Manifest,
        frame: &Frame,
        source: &Source<'_>,
    ) -> Result<Vec<ManifestRun>, Error> {
        let described: HashMap<&str, &BatchFacts> =
            manifest.batches.iter().map(|listed| (listed.row.name.as_str(), &listed.row)).collect();
        let mut runs: Vec<ManifestRun> = Vec::new();
        let mut places = HashMap::<(Option<&str>, Option<&Path>), usize>::new();
        let mut targets = frame.targets.clone();
        let real = source.folder.canonicalize().ok();
        let mut shown_before = HashSet::new();
        for document in &manifest.documents {
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
                entry.target = self.target_named(permit, name, &mut targets)?;
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

    /// A case file by the name that the manifest uses, remembered.
    fn target_named(
        &self,
        permit: &Permit,
        name: &str,
        targets: &mut HashMap<String, CaseFileId>,
    ) -> Result<Option<CaseFileId>, Error> {
        if let Some(id) = targets.get(name) {
            return Ok(Some(*id));
        }
        match self.find_case_file(permit, name) {
            Ok(found) => {
                targets.extend(found.map(|id| (name.to_owned(), id)));
                Ok(found)
            }
            Err(error) if error.kind == Kind::Conflict => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What the batch of a list is called: the same however the list is named on the command line.
fn list_name(list: &Path) -> String {
    shown_path(&std::path::absolute(list).unwrap_or_else(|_| list.to_owned()))
}

fn unknown(at: &At, column: &str, what: &str, code: Option<&str>) -> Problem {
    let detail = format!(
        "{what} „{}“ steht weder in der Begleitliste noch im Archiv",
        code.map(source_name).unwrap_or_default()
    );
    Problem { at: at.clone(), column: Some(column.to_owned()), detail }
}

fn wish(row: &ListedCaseFile, unit: UnitId) -> OpenCaseFile {
    let row = row.clone();
    OpenCaseFile {
        reference: row.reference,
        aliases: row.aliases,
        title: row.title,
        unit,
        case_type: row.case_type,
        protection: row.protection,
        retention_class: row.retention_class,
        medium: row.medium,
        paper_location: row.paper_location,
        begins_on: row.begins_on,
        ends_on: row.ends_on,
        closed_on: row.closed_on,
        parties: row.parties,
        fields: row.fields,
        import_key: row.key.map(|key| key.to_string()),
    }
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
