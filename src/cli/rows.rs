//! What scripts read: the field names are promised (design §7) and the same with and without a server.

use crate::archive::DocumentState;
use crate::domain::finding::Finding;
use serde::Serialize;

/// One file of `ingest`, in its final state.
#[derive(Debug, Serialize)]
pub(super) struct FileLine {
    pub(super) path: String,
    pub(super) status: &'static str,
    pub(super) document_id: Option<String>,
    pub(super) sha256: Option<String>,
    pub(super) bytes: Option<u64>,
    pub(super) position: Option<u64>,
    pub(super) searchable: bool,
    pub(super) pages: Option<u32>,
    pub(super) findings: Vec<FindingLine>,
}

/// Something odd about a file: a finding of the document, or why it was rejected.
#[derive(Debug, Serialize)]
pub(super) struct FindingLine {
    pub(super) code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) page: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<String>,
}

impl From<&Finding> for FindingLine {
    fn from(finding: &Finding) -> Self {
        Self { code: finding.code.to_string(), page: finding.page, detail: finding.detail.clone() }
    }
}

impl FindingLine {
    /// For people.
    pub(super) fn text(&self) -> String {
        let page = self.page.map(|page| format!(" (Seite {page})")).unwrap_or_default();
        match &self.detail {
            Some(detail) => format!("{detail}{page}"),
            None => format!("{}{page}", super::show::finding(&self.code)),
        }
    }
}

impl FileLine {
    /// A file that was not stored.
    pub(super) fn unstored(path: String, status: &'static str, finding: FindingLine) -> Self {
        Self {
            path,
            status,
            document_id: None,
            sha256: None,
            bytes: None,
            position: None,
            searchable: false,
            pages: None,
            findings: vec![finding],
        }
    }
}

/// The end of `ingest`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Summary {
    pub(super) files: u64,
    pub(super) received: u64,
    pub(super) duplicate: u64,
    pub(super) rejected: u64,
    pub(super) pages: u64,
    pub(super) seconds: f64,
    /// Not done; absent when everything was.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) failed: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A page of `search`.
#[derive(Debug, Serialize)]
pub(super) struct SearchLine {
    pub(super) total: u64,
    pub(super) hits: Vec<HitLine>,
}

/// A hit.
#[derive(Debug, Serialize)]
pub(super) struct HitLine {
    pub(super) document_id: String,
    pub(super) file_reference: Option<String>,
    pub(super) title: String,
    pub(super) source_name: String,
    /// None when it is the metadata that matches.
    pub(super) page: Option<u32>,
    pub(super) snippet: Option<String>,
    pub(super) score: f32,
}

/// A document of `show`.
#[derive(Debug, Serialize)]
pub(super) struct DocumentLine {
    pub(super) document_id: String,
    pub(super) title: String,
    pub(super) source_name: String,
    pub(super) case_file_id: Option<String>,
    pub(super) file_reference: Option<String>,
    pub(super) document_type: Option<String>,
    pub(super) document_date: Option<String>,
    pub(super) batch_id: Option<String>,
    pub(super) media_type: String,
    pub(super) bytes: u64,
    pub(super) sha256: String,
    pub(super) position: u64,
    pub(super) accepted_at: String,
    pub(super) versions: u32,
    pub(super) searchable: bool,
    pub(super) pages: Option<u32>,
    pub(super) findings: Vec<FindingLine>,
    /// What has happened to it, where that was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) history: Vec<HistoryLine>,
}

/// Something that has happened to a document.
#[derive(Debug, Serialize)]
pub(super) struct HistoryLine {
    pub(super) recorded_at: String,
    pub(super) kind: String,
    /// For people.
    pub(super) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
}

/// A further version of a document, in its final state.
#[derive(Debug, Serialize)]
pub(super) struct VersionLine {
    #[serde(flatten)]
    pub(super) file: FileLine,
    pub(super) version: u32,
}

impl DocumentLine {
    /// `None` only for a row without a version, which the journal cannot make.
    pub(super) fn new(state: &DocumentState) -> Option<Self> {
        let row = &state.row;
        let current = row.versions.last()?;
        Some(Self {
            document_id: state.id.to_string(),
            title: row.received.title.clone(),
            source_name: current.source_name.clone(),
            case_file_id: row.case_file.map(|id| id.to_string()),
            file_reference: state.file_reference.clone(),
            document_type: row.received.document_type.clone(),
            document_date: row.received.document_date.map(|day| day.to_string()),
            batch_id: row.received.batch.map(|id| id.to_string()),
            media_type: current.media_type.clone(),
            bytes: current.original.size,
            sha256: current.original.sha256.to_string(),
            position: row.origin.position,
            accepted_at: row.origin.since.to_string(),
            versions: current.number,
            searchable: state.searchable,
            pages: state.pages(),
            findings: state.findings().iter().map(FindingLine::from).collect(),
            history: Vec::new(),
        })
    }
}
