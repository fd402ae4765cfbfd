//! Findings: what is odd about a document. A finding never keeps a document from being stored.

use serde::{Deserialize, Serialize};

super::codes::word_list!(
    /// What is odd. The words are stored.
    FindingCode, "Befund",
    /// Password needed to read it.
    Encrypted = "encrypted",
    /// Carries a digital signature.
    Signed = "signed",
    /// Cannot be read as what it claims to be.
    Damaged = "damaged",
    /// Nothing is known about this type of file.
    UnknownType = "unknown-type",
    /// No text was found.
    NoText = "no-text",
    /// The case file named does not exist or takes no documents: it waits in the inbox.
    Unfiled = "unfiled",
    /// Pages wait for character recognition.
    OcrPending = "ocr-pending",
    /// Reading took too long and was stopped.
    TimeLimit = "time-limit",
    /// The reader ended without an answer.
    WorkerCrashed = "worker-crashed",
    /// Reading took too much memory and was stopped.
    MemoryLimit = "memory-limit",
    /// A scan coded with symbols (JBIG2): similar characters may have been swapped (TR-RESISCAN A.SC.12).
    SymbolCoded = "symbol-coded",
);

/// One odd thing about a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Finding {
    /// What is odd.
    pub code: FindingCode,
    /// On which page, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub page: Option<u32>,
    /// More about it; never a part of the document's text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
}
