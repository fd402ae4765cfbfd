//! What the API sends and takes: its own types, so that renaming something inside changes no answer. The client
//! reads the same types; fields may be added, never renamed or dropped.

mod batch;
mod document;
mod frame;
mod job;

pub use super::fields::DocumentFacts;
pub(super) use batch::balance;
pub use batch::{
    Batch, BatchClosing, BatchLine, BatchOpening, BatchRejections, BulkAnswer, BulkLine, BulkSummary,
    Progress, UnsentFile,
};
pub use document::{
    Document, DocumentFiling, Finding, Mark, Reading, Receipt, SearchHit, SearchPage, StoredEvent, Version,
    VersionFacts,
};
pub use frame::{
    CaseFile, CaseFileClosing, CaseFileOpening, Health, Party, PlanUnit, PlanUnitMaking, Unit, UnitMaking,
};
pub use job::{Digitising, Job, JobAsked, JobPage, JobResult, JobState, VerifyFault};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Ein Teil einer Liste.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// Die Einträge, in Reihenfolge.
    pub items: Vec<T>,
    /// Seitenzeiger für `cursor`; fehlt am Ende der Liste.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A page of the façade, every item turned into a row.
    pub(super) fn of<U>(page: crate::catalogue::Page<U>, row: impl FnMut(U) -> T) -> Self {
        Self {
            items: page.items.into_iter().map(row).collect(),
            next: page.next.map(|cursor| cursor.to_string()),
        }
    }
}

/// A value as text.
#[expect(clippy::needless_pass_by_value, reason = "so that `map(text)` works on ids and dates")]
fn text(value: impl ToString) -> String {
    value.to_string()
}
