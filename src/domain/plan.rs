//! The frame a tenant works in: its units (Organisationseinheiten) and its file plan (Aktenplan).

use super::event::{PlanUnitCreated, UnitCreated};
use super::reference::{InvalidTemplate, Template};
use super::text::Line;
use super::{PlanUnitId, UnitId};

/// Mandant: the tenant's own facts, as far as rules need them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its name, as on letterheads.
    pub name: Line,
    /// The zone in which civil dates count.
    pub time_zone: String,
    /// How file references are made.
    pub reference_template: Template,
}

impl Tenant {
    /// Reads the facts back from the tenant's first event.
    ///
    /// # Errors
    /// When the stored template is not one (a newer version of the program made it).
    pub fn from_created(data: &super::event::TenantCreated) -> Result<Self, InvalidTemplate> {
        Ok(Self {
            name: Line::shown(&data.name),
            time_zone: data.time_zone.clone(),
            reference_template: data.reference_template.parse()?,
        })
    }
}

/// Organisationseinheit: a unit of the town hall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Which one.
    pub id: UnitId,
    /// What is recorded of it.
    pub data: UnitCreated,
}

/// Aktenplaneinheit: a place in the file plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanUnit {
    /// Which one.
    pub id: PlanUnitId,
    /// What is recorded of it.
    pub data: PlanUnitCreated,
}
