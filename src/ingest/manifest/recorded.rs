//! A manifest's frame (units, file plan, case files), held against what is recorded already.

use super::{At, ListedCaseFile, Manifest, Problem};
use crate::domain::case_file::OpenCaseFile;
use crate::domain::codes::Disposal;
use crate::domain::event::PlanUnitCreated;
use crate::domain::plan::PlanUnit;
use crate::domain::text::{Line, source_name};
use crate::domain::{PlanUnitId, UnitId};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// The frame as it is recorded: in an archive here, or behind a server.
pub trait Recorded {
    /// Why it does not answer.
    type Error;

    /// Whether there is a unit with this code.
    ///
    /// # Errors
    /// When it does not answer.
    fn knows_unit(&self, code: &str) -> Result<bool, Self::Error>;

    /// What is recorded of the plan unit with this code.
    ///
    /// # Errors
    /// When it does not answer.
    fn plan_unit(&self, code: &str) -> Result<Option<PlanUnitCreated>, Self::Error>;
}

impl Manifest {
    /// Holds the manifest against what is recorded. Rows that cannot be used are taken out and become problems of
    /// the manifest. Nothing is written.
    ///
    /// # Errors
    /// When what is recorded cannot be asked.
    pub fn hold_against<R: Recorded>(&mut self, recorded: &R) -> Result<(), R::Error> {
        let problems = &mut self.problems;
        let mut units = HashSet::new();
        let mut kept = Vec::with_capacity(self.units.len());
        for listed in std::mem::take(&mut self.units) {
            let parent = listed.row.parent.as_ref().map(Line::as_str);
            if parent.is_none_or(|parent| units.contains(parent))
                || recorded.knows_unit(parent.unwrap_or_default())?
            {
                units.insert(listed.row.code.to_string());
                kept.push(listed);
            } else {
                problems.push(unknown(&listed.at, "parent", "die Organisationseinheit", parent));
            }
        }
        self.units = kept;

        let mut plan = HashMap::<String, PlanUnitCreated>::new();
        let mut kept = Vec::with_capacity(self.plan_units.len());
        for listed in std::mem::take(&mut self.plan_units) {
            let row = &listed.row;
            let above = match &row.parent {
                None => None,
                Some(parent) => {
                    let Some(above) = planned(recorded, &plan, parent.as_str())? else {
                        let code = Some(parent.as_str());
                        problems.push(unknown(&listed.at, "parent", "die Aktenplaneinheit", code));
                        continue;
                    };
                    Some(above)
                }
            };
            let class = row.retention_class.as_ref().map(ToString::to_string);
            let planned = planned(recorded, &plan, row.code.as_str())?.unwrap_or_else(|| PlanUnitCreated {
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
        self.plan_units = kept;

        let mut kept = Vec::with_capacity(self.case_files.len());
        for listed in std::mem::take(&mut self.case_files) {
            let row = &listed.row;
            let plan_unit = planned(recorded, &plan, row.plan_unit.as_str())?;
            if !units.contains(row.unit.as_str()) && !recorded.knows_unit(row.unit.as_str())? {
                problems.push(unknown(
                    &listed.at,
                    "unit",
                    "die Organisationseinheit",
                    Some(row.unit.as_str()),
                ));
            } else if let Some(data) = plan_unit {
                let plan_unit = PlanUnit { id: PlanUnitId::from_uuid(Uuid::nil()), data };
                match row.wish(UnitId::from_uuid(Uuid::nil())).check(&plan_unit) {
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
        self.case_files = kept;
        Ok(())
    }
}

/// What is or will be recorded of a plan unit.
fn planned<R: Recorded>(
    recorded: &R,
    listed: &HashMap<String, PlanUnitCreated>,
    code: &str,
) -> Result<Option<PlanUnitCreated>, R::Error> {
    Ok(recorded.plan_unit(code)?.or_else(|| listed.get(code).cloned()))
}

fn unknown(at: &At, column: &str, what: &str, code: Option<&str>) -> Problem {
    let detail = format!(
        "{what} „{}“ steht weder in der Begleitliste noch im Archiv",
        code.map(source_name).unwrap_or_default()
    );
    Problem { at: at.clone(), column: Some(column.to_owned()), detail }
}

impl ListedCaseFile {
    /// The row as a wish to open it, in this unit.
    pub fn wish(&self, unit: UnitId) -> OpenCaseFile {
        let row = self.clone();
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
}
