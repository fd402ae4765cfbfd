//! Text, pages and renditions from files, in a worker process.
//!
//! Foreign files are parsed only there: [`launch`] starts one child a job, [`worker`] is what the child does. A file
//! that kills its reader costs a finding, never a record.

mod confine;
pub mod job;
pub mod launch;
mod layout;
mod markup;
mod ocr;
pub mod page;
pub mod page_texts;
mod pdf;
pub mod pdf_picture;
pub mod pictures;
mod plain;
pub mod raster;
mod reading;
pub mod searchable;
mod sniff;
mod tesseract;
pub mod worker;

pub use sniff::{Format, sniff};
pub use tesseract::find as find_tesseract;
