//! Batches and what became of their files.

use super::{Finding, text};
use crate::catalogue::{BatchRow, LineRow};
use crate::domain::BatchId;
use crate::domain::batch::Balance;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Eine Charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Batch {
    /// Kennung.
    pub id: String,
    /// Name, eindeutig.
    pub name: String,
    /// Quelle.
    pub source: String,
    /// Karton.
    pub box_label: Option<String>,
    /// Wer gescannt hat (Pseudonym).
    pub person: Option<String>,
    /// Arbeitsplatz.
    pub station: Option<String>,
    /// Scanner.
    pub scanner: Option<String>,
    /// Scanprofil.
    pub profile: Option<String>,
    /// Wann gescannt wurde.
    #[schema(format = DateTime)]
    pub scanned_at: Option<String>,
    /// Version der Verfahrensdokumentation.
    pub procedure_version: Option<String>,
    /// Gezählte Blätter.
    pub sheets_expected: Option<u32>,
    /// Gezählte Seiten.
    pub pages_expected: Option<u32>,
    /// Auffälligkeiten.
    pub anomalies: Vec<String>,
    /// `open`, `green` (jede Datei hat ihre Zeile) oder `red`.
    pub balance: String,
    /// Dateien, die der Absender gesehen hat; steht nach dem Abschluss fest.
    pub seen: Option<u64>,
    /// Neue Dokumente.
    pub received: u64,
    /// Bytes, die schon da waren.
    pub duplicate: u64,
    /// Nicht gespeichert.
    pub rejected: u64,
    /// Seiten ihrer Dokumente, soweit sie gelesen sind.
    pub pages_read: u64,
    /// Ihre Dokumente, die noch zu lesen sind.
    pub unread: u64,
    /// Vergleich mit den gezählten Blättern und Seiten: `not-counted`, `pending` (noch nicht alles da und gelesen),
    /// `equal`, `differs`, `erased` (nach einer Löschung nicht mehr möglich).
    #[schema(example = "differs")]
    pub page_check: String,
    /// Der Vergleich in Worten.
    #[schema(example = "gezählt 120 Seiten, gelesen 118 Seiten: BITTE PRÜFEN")]
    pub page_note: Option<String>,
    /// Wann sie eröffnet wurde.
    #[schema(format = DateTime)]
    pub opened_at: String,
}

/// The word for a balance.
pub(in crate::api) fn balance(balance: Balance) -> &'static str {
    match balance {
        Balance::Open => "open",
        Balance::Green => "green",
        Balance::Red => "red",
    }
}

impl Batch {
    pub(in crate::api) fn of(id: BatchId, row: BatchRow) -> Self {
        let batch = row.state(id);
        let state = balance(batch.balance());
        let (counts, read) = (row.counts(), row.pages_read());
        let data = row.data;
        Self {
            id: text(id),
            name: data.name,
            source: data.source,
            box_label: data.box_label,
            person: data.person,
            station: data.station,
            scanner: data.scanner,
            profile: data.profile,
            scanned_at: data.scanned_at.map(text),
            procedure_version: data.procedure_version,
            sheets_expected: data.sheets_expected,
            pages_expected: data.pages_expected,
            anomalies: data.anomalies,
            balance: state.to_owned(),
            seen: row.closed.as_ref().map(|closed| closed.seen),
            received: row.received,
            duplicate: row.duplicate,
            rejected: row.rejected,
            pages_read: read.pages,
            unread: read.unread,
            page_check: batch.page_check(counts, read).word().to_owned(),
            page_note: batch.page_sentence(counts, read),
            opened_at: text(row.origin.since),
        }
    }
}

/// Eine Charge, die eröffnet werden soll.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchOpening {
    /// Name, eindeutig.
    pub name: String,
    /// Quelle; fehlt sie, `upload`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<String>,
    /// Karton.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub box_label: Option<String>,
    /// Wer gescannt hat (Pseudonym).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub person: Option<String>,
    /// Arbeitsplatz.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub station: Option<String>,
    /// Scanner.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scanner: Option<String>,
    /// Scanprofil.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub profile: Option<String>,
    /// Wann gescannt wurde.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(format = DateTime)]
    pub scanned_at: Option<String>,
    /// Version der Verfahrensdokumentation.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub procedure_version: Option<String>,
    /// Gezählte Blätter.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sheets_expected: Option<u32>,
    /// Gezählte Seiten.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pages_expected: Option<u32>,
    /// Auffälligkeiten.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub anomalies: Vec<String>,
}

/// Der Abschluss einer Charge.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchClosing {
    /// Dateien, die der Absender gesehen hat: so viele Zeilen muss es geben, sonst ist die Charge rot.
    pub seen: u64,
}

/// Dateien, die der Absender nicht senden konnte.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchRejections {
    /// Eine Zeile je Datei; höchstens 1000.
    pub files: Vec<UnsentFile>,
}

/// Eine Datei, die der Absender nicht senden konnte.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnsentFile {
    /// Pfad in der Quelle.
    pub path: String,
    /// Warum nicht: ein Ablehnungsgrund, etwa `unreadable`, `link`, `not-a-file`, `manifest`.
    pub reason: String,
    /// Mehr dazu.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// Länge in Byte, wenn sie bekannt ist.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bytes: Option<u64>,
}

/// Was aus einer Datei einer Charge wurde.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchLine {
    /// Pfad in der Quelle.
    pub path: String,
    /// `received`, `duplicate` oder `rejected`.
    pub status: String,
    /// Das Dokument mit diesen Bytes.
    pub document_id: Option<String>,
    /// Ablehnungsgrund.
    pub reason: Option<String>,
    /// Mehr dazu.
    pub detail: Option<String>,
}

impl From<LineRow> for BatchLine {
    fn from(row: LineRow) -> Self {
        Self {
            path: row.path,
            status: text(row.status),
            document_id: row.document.map(text),
            reason: row.rejection.map(text),
            detail: row.detail.or_else(|| row.rejection.map(|why| why.sentence().to_owned())),
        }
    }
}

/// Was aus einer Datei einer Sammelübertragung wurde.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BulkLine {
    /// Pfad, wie er in der Charge steht.
    pub path: String,
    /// `received`, `duplicate`, `rejected`, oder `failed`: ohne Zeile in der Charge, bitte noch einmal senden.
    pub status: String,
    /// Das Dokument mit diesen Bytes.
    pub document_id: Option<String>,
    /// SHA-256.
    pub sha256: Option<String>,
    /// Länge.
    pub bytes: Option<u64>,
    /// Stelle im Journal.
    pub position: Option<u64>,
    /// Ablehnungsgrund, oder die Art des Problems bei `failed`.
    pub reason: Option<String>,
    /// Mehr dazu.
    pub detail: Option<String>,
    /// Befunde.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub findings: Vec<Finding>,
}

/// Zählung einer Sammelübertragung.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BulkSummary {
    /// Dateien.
    pub files: u64,
    /// Neue Dokumente.
    pub received: u64,
    /// Bytes, die schon da waren.
    pub duplicate: u64,
    /// Nicht gespeichert.
    pub rejected: u64,
    /// Nicht erledigt.
    pub failed: u64,
}

/// Antwort auf eine Sammelübertragung.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BulkAnswer {
    /// Eine Zeile je Datei, in der Reihenfolge der Übertragung.
    pub files: Vec<BulkLine>,
    /// Zählung.
    pub summary: BulkSummary,
}

/// Wie weit eine Charge ist.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// `open`, `green` oder `red`.
    pub balance: String,
    /// Dateien, die der Absender gesehen hat; steht nach dem Abschluss fest.
    pub seen: Option<u64>,
    /// Neue Dokumente.
    pub received: u64,
    /// Bytes, die schon da waren.
    pub duplicate: u64,
    /// Nicht gespeichert.
    pub rejected: u64,
    /// Dokumente, die über ihren Text gefunden werden (oder von denen feststeht, dass sie keinen haben).
    pub searchable: u64,
    /// Dateien je Sekunde seit der letzten Meldung.
    pub files_per_second: f64,
    /// Dokumente je Sekunde, die seit der letzten Meldung auffindbar wurden.
    pub searchable_per_second: f64,
    /// Ob die Charge abgeschlossen und alles auffindbar ist; dann endet der Strom.
    pub done: bool,
}
