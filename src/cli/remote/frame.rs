//! The frame behind a server: what is recorded of it, and what a manifest adds.

use super::super::failure::Failure;
use super::super::ingest::Destination;
use super::case_file_id;
use crate::api::rows::{CaseFileOpening, Party, PlanUnitMaking, UnitMaking};
use crate::archive::{Error, Frame, Kind, Shelf};
use crate::client::{Client, ClientError};
use crate::domain::codes::Medium;
use crate::domain::decision::Refusal;
use crate::domain::event::PlanUnitCreated;
use crate::domain::text::Line;
use crate::domain::{CaseFileId, PlanUnitId};
use crate::ingest::manifest::{
    Listed, ListedCaseFile, ListedPlanUnit, ListedUnit, Manifest, Problem, Recorded,
};
use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Case files opened at once.
const AT_ONCE: usize = 4;

/// The archive behind a server.
pub(super) struct Remote {
    pub(super) client: Client,
}

/// Units and file plan, fetched: a manifest is held against them without a request a row.
#[derive(Default)]
struct Known {
    units: HashSet<String>,
    plan: HashMap<String, PlanUnitCreated>,
}

impl Recorded for Known {
    type Error = Infallible;

    fn knows_unit(&self, code: &str) -> Result<bool, Infallible> {
        Ok(self.units.contains(code))
    }

    fn plan_unit(&self, code: &str) -> Result<Option<PlanUnitCreated>, Infallible> {
        Ok(self.plan.get(code).cloned())
    }
}

impl Remote {
    fn known(&self) -> Result<Known, ClientError> {
        let mut known = Known::default();
        known.units.extend(self.client.units()?.into_iter().map(|unit| unit.code));
        let mut cursor = None;
        loop {
            let page = self.client.plan_units(cursor.as_deref())?;
            for row in page.items {
                let data = PlanUnitCreated {
                    code: row.code.clone(),
                    title: row.title,
                    parent: row.parent.and_then(|id| id.parse::<PlanUnitId>().ok()),
                    retention_class: row.retention_class,
                    disposal: row.disposal.and_then(|word| word.parse().ok()),
                    legal_basis: row.legal_basis,
                };
                known.plan.insert(row.code, data);
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(known);
            }
        }
    }

    fn open_all(
        &self,
        listed: &[Listed<ListedCaseFile>],
        frame: &mut Frame,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Error> {
        const PIECE: usize = 500;
        for piece in listed.chunks(PIECE) {
            let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
            std::thread::scope(|scope| {
                for _ in 0..AT_ONCE.min(piece.len()) {
                    scope.spawn(|| {
                        while let Some(one) = piece.get(next.fetch_add(1, Ordering::Relaxed)) {
                            let result = self.open(&one.row);
                            results.lock().unwrap_or_else(PoisonError::into_inner).push((one, result));
                        }
                    });
                }
            });
            let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
            results.sort_by_key(|(one, _)| one.at.line);
            for (one, result) in results {
                match result {
                    Ok((id, is_new)) => {
                        frame.case_files.count(is_new);
                        let row = &one.row;
                        frame.targets.extend(row.key.as_ref().map(|key| (key.to_string(), id)));
                        frame.targets.extend(row.reference.as_ref().map(|name| (name.to_string(), id)));
                    }
                    Err(error) if matches!(error.kind, Kind::Invalid | Kind::Conflict) => {
                        let problem = Problem { at: one.at.clone(), column: None, detail: error.public };
                        frame.problems.push(problem);
                    }
                    Err(error) => return Err(error),
                }
            }
            progress(frame.case_files.new + frame.case_files.known);
        }
        Ok(())
    }
}

impl Shelf for Remote {
    fn find(&self, name: &str) -> Result<Option<CaseFileId>, Error> {
        let found = match name.parse::<CaseFileId>() {
            Ok(_) => self.client.case_file(name)?,
            Err(_) => self.client.find_case_file(name)?,
        };
        found.map(|file| id(&file.id)).transpose()
    }

    fn open(&self, new: &ListedCaseFile) -> Result<(CaseFileId, bool), Error> {
        let (file, is_new) = self.client.make_case_file(&case_file(new))?;
        Ok((id(&file.id)?, is_new))
    }
}

impl Shelf for &Remote {
    fn find(&self, name: &str) -> Result<Option<CaseFileId>, Error> {
        (**self).find(name)
    }

    fn open(&self, new: &ListedCaseFile) -> Result<(CaseFileId, bool), Error> {
        (**self).open(new)
    }
}

impl Destination for Remote {
    fn time_zone(&self) -> Result<String, Error> {
        Ok(self.client.health()?.time_zone)
    }

    fn shelf(&self) -> Box<dyn Shelf + Send + '_> {
        Box::new(self)
    }

    fn target(&self, name: &str) -> Result<CaseFileId, Failure> {
        let text = case_file_id(&self.client, name)?;
        let missing = || Failure::refused(format!("Die Akte „{name}“ gibt es nicht."));
        let file = self.client.case_file(&text)?.ok_or_else(missing)?;
        let id = id(&file.id)?;
        let refusal = match file.medium.parse() {
            _ if file.closed_here => Some(Refusal::Closed(id)),
            Ok(Medium::Paper) => Some(Refusal::PaperOnly(id)),
            _ => None,
        };
        refusal.map_or(Ok(id), |refusal| Err(Error::from(refusal).into()))
    }

    fn check(&self, manifest: &mut Manifest) -> Result<(), Error> {
        let Ok(()) = manifest.hold_against(&self.known()?);
        Ok(())
    }

    fn import(&self, manifest: &Manifest, progress: &mut dyn FnMut(u64)) -> Result<Frame, Error> {
        let mut frame = Frame::default();
        for listed in &manifest.units {
            frame.units.count(self.client.make_unit(&unit(&listed.row))?.1);
        }
        for listed in &manifest.plan_units {
            frame.plan_units.count(self.client.make_plan_unit(&plan_unit(&listed.row))?.1);
        }
        self.open_all(&manifest.case_files, &mut frame, progress)?;
        Ok(frame)
    }
}

fn id(text: &str) -> Result<CaseFileId, Error> {
    text.parse().map_err(|error| Error::from_cause(Kind::Unavailable, error))
}

fn text<T: ToString>(value: Option<&T>) -> Option<String> {
    value.map(ToString::to_string)
}

fn unit(row: &ListedUnit) -> UnitMaking {
    UnitMaking { code: row.code.to_string(), name: row.name.to_string(), parent: text(row.parent.as_ref()) }
}

fn plan_unit(row: &ListedPlanUnit) -> PlanUnitMaking {
    PlanUnitMaking {
        code: row.code.to_string(),
        title: row.title.to_string(),
        parent: text(row.parent.as_ref()),
        retention_class: text(row.retention_class.as_ref()),
        disposal: text(row.disposal.as_ref()),
        legal_basis: text(row.legal_basis.as_ref()),
    }
}

fn case_file(row: &ListedCaseFile) -> CaseFileOpening {
    CaseFileOpening {
        plan_unit: row.plan_unit.to_string(),
        unit: row.unit.to_string(),
        title: row.title.to_string(),
        case_type: row.case_type.to_string(),
        reference: text(row.reference.as_ref()),
        aliases: row.aliases.iter().map(Line::to_string).collect(),
        protection: Some(row.protection.to_string()),
        retention_class: text(row.retention_class.as_ref()),
        medium: Some(row.medium.to_string()),
        paper_location: text(row.paper_location.as_ref()),
        begins_on: text(row.begins_on.as_ref()),
        ends_on: text(row.ends_on.as_ref()),
        closed_on: text(row.closed_on.as_ref()),
        parties: row
            .parties
            .iter()
            .map(|party| Party { role: party.role.clone(), name: party.name.clone() })
            .collect(),
        fields: row.fields.clone(),
        key: text(row.key.as_ref()),
    }
}
