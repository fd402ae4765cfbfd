//! Taking a manifest over: first the frame (units, file plan, case files), then files in batches. Repeating it adds
//! nothing: everything is found by its code, key or reference.

use super::{Archive, Error, Kind, NewCaseFile, NewPlanUnit, NewUnit, Permission, Permit};
use crate::domain::CaseFileId;
use crate::domain::event::PlanUnitCreated;
use crate::ingest::manifest::{Manifest, ManifestRun, Problem, Recorded, Source};
use std::collections::HashMap;

/// How many there were, and how many of them were new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Made now.
    pub new: u64,
    /// There already.
    pub known: u64,
}

impl Tally {
    pub(crate) fn count(&mut self, is_new: bool) {
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
    pub(crate) targets: HashMap<String, CaseFileId>,
}

impl Archive {
    /// Holds a manifest against what is recorded. Rows that cannot be used are taken out and become problems of
    /// the manifest. Nothing is written.
    ///
    /// # Errors
    /// When the catalogue is broken.
    pub fn check_manifest(&self, permit: &Permit, manifest: &mut Manifest) -> Result<(), Error> {
        permit.require(Permission::Ingest)?;
        manifest.hold_against(self)
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
                    wish: listed.row.wish(unit),
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
        manifest.runs(&frame.targets, source, &mut |name| match self.find_case_file(permit, name) {
            Err(error) if error.kind == Kind::Conflict => Ok(None),
            found => found,
        })
    }
}

impl Recorded for Archive {
    type Error = Error;

    fn knows_unit(&self, code: &str) -> Result<bool, Error> {
        Ok(self.catalogue.unit_by_code(code)?.is_some())
    }

    fn plan_unit(&self, code: &str) -> Result<Option<PlanUnitCreated>, Error> {
        let Some(id) = self.catalogue.plan_unit_by_code(code)? else { return Ok(None) };
        Ok(self.catalogue.plan_unit(id)?.map(|row| row.data))
    }
}
