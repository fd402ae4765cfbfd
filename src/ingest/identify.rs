//! What the bytes really are. Nothing is refused here.

use crate::domain::finding::{Finding, FindingCode};
use crate::extract;

/// The media type of a file and what is odd about it at first sight, from its first bytes, length and name.
pub fn identify(head: &[u8], size: u64, source_name: &str) -> (String, Vec<Finding>) {
    let format = extract::sniff(head, size, source_name);
    let mut findings = Vec::new();
    if format == extract::Format::Unknown {
        findings.push(Finding { code: FindingCode::UnknownType, page: None, detail: None });
    }
    (format.media_type().to_owned(), findings)
}
