//! The core: what records are and what may happen to them. No I/O, no clock, no randomness: everything
//! here gives the same answer for the same input.
//!
//! [`event`] holds what has happened (its types are the stored format), the other modules hold the state
//! that follows from it: `decide` turns a state and a wish into events, `apply` turns events into state.

pub mod batch;
pub mod case_file;
pub mod codes;
pub mod decision;
pub mod digest;
pub mod document;
pub mod event;
pub mod finding;
pub mod guard;
pub mod ids;
pub mod merkle;
pub mod object;
pub mod plan;
pub mod reference;
pub mod text;

pub use digest::Digest;
pub use ids::{
    AccountId, BatchId, CaseFileId, DocumentId, EntityId, EntityKind, PlanUnitId, TenantId, TenantSlug,
    UnitId,
};
pub use object::ObjectRef;
