//! placeholder
use crate::archive::{Archive, Error};
use crate::wake::Wake;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
/// d
#[derive(Debug)]
pub struct Digitising {}
impl Digitising {
    pub(crate) fn new(_a: &Archive, _scratch: PathBuf) -> Result<Self, Error> {
        Ok(Self {})
    }
    pub(crate) fn work(&self, _c: &Wake, _s: &AtomicBool) {}
    /// x
    pub fn ocr_available(&self) -> bool {
        false
    }
}
