//! Documents, what proves them, and how they are found.

use super::text;
use crate::archive::{self, DocumentState, EventView, ReceiptView};
use crate::catalogue::{DocumentRow, VersionRow};
use crate::domain::event::Actor;
use crate::domain::finding;
use crate::ingest::Accepted;
use crate::search::Snippet;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Ein Befund: was an einem Dokument auffällt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// Was auffällt.
    #[schema(example = "encrypted")]
    pub code: String,
    /// Auf welcher Seite, ab 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub page: Option<u32>,
    /// Mehr dazu.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
}

impl From<&finding::Finding> for Finding {
    fn from(finding: &finding::Finding) -> Self {
        Self { code: text(finding.code), page: finding.page, detail: finding.detail.clone() }
    }
}

/// Ein Dokument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Document {
    /// Kennung.
    pub id: String,
    /// Akte; fehlt im Posteingang.
    pub case_file: Option<String>,
    /// Aktenzeichen der Akte.
    pub file_reference: Option<String>,
    /// Organisationseinheit, in deren Posteingang es liegt.
    pub unit: Option<String>,
    /// Betreff.
    pub title: String,
    /// Dokumenttyp.
    pub document_type: Option<String>,
    /// Datum des Schreibens.
    #[schema(format = Date)]
    pub document_date: Option<String>,
    /// Posteingangsdatum.
    #[schema(format = Date)]
    pub received_on: Option<String>,
    /// `in`, `out` oder `internal`.
    pub direction: Option<String>,
    /// `scan`, `upload`, `mail` oder `ozg`.
    pub origin: String,
    /// Geheimhaltungsgrad.
    pub classification: Option<String>,
    /// Charge, mit der es kam.
    pub batch: Option<String>,
    /// Name der Datei bei der Ankunft (aktuelle Version).
    pub source_name: String,
    /// Pfad in der Quelle der Charge.
    pub source_path: Option<String>,
    /// Was die Bytes sind (aktuelle Version).
    pub media_type: String,
    /// Länge (aktuelle Version).
    pub bytes: u64,
    /// SHA-256 (aktuelle Version).
    pub sha256: String,
    /// Nummer der aktuellen Version.
    pub version: u32,
    /// Stelle des Eingangs im Journal.
    pub position: u64,
    /// Wann es angenommen wurde: ab da ist es dauerhaft gespeichert.
    #[schema(format = DateTime)]
    pub accepted_at: String,
    /// Ob es über seinen Text gefunden wird oder feststeht, dass es keinen hat.
    pub searchable: bool,
    /// Seiten, sobald es gelesen ist.
    pub pages: Option<u32>,
    /// Was das Lesen ergab.
    pub reading: Option<Reading>,
    /// Befunde.
    pub findings: Vec<Finding>,
}

/// Was das Lesen eines Dokuments ergab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reading {
    /// Laufende Nummer der Lesung.
    pub generation: u32,
    /// Welche Version gelesen wurde.
    pub of_version: u32,
    /// Programme und ihre Versionen.
    pub engine: String,
    /// Seiten mit Texterkennung.
    pub ocr_pages: u32,
    /// Seiten, die noch auf Texterkennung warten.
    pub ocr_pending: u32,
    /// Leere Seiten.
    pub blank_pages: u32,
    /// Mittlere Sicherheit der Texterkennung, 0 bis 100.
    pub mean_confidence: Option<u8>,
    /// Darstellungen, die es gibt: `text`, `pdf`.
    pub renditions: Vec<String>,
    /// Wann das festgehalten wurde.
    #[schema(format = DateTime)]
    pub recorded_at: String,
}

impl From<&DocumentState> for Document {
    fn from(state: &DocumentState) -> Self {
        let received = &state.row.received;
        let current = state.row.versions.last();
        let original = current.map(|version| &version.original);
        Self {
            id: text(state.id),
            case_file: state.row.case_file.map(text),
            file_reference: state.file_reference.clone(),
            unit: received.unit.filter(|_| state.row.case_file.is_none()).map(text),
            title: received.title.clone(),
            document_type: received.document_type.clone(),
            document_date: received.document_date.map(text),
            received_on: received.received_on.map(text),
            direction: received.direction.map(text),
            origin: text(received.origin),
            classification: received.classification.map(text),
            batch: received.batch.map(text),
            source_name: current.map_or_else(|| received.source_name.clone(), |v| v.source_name.clone()),
            source_path: received.source_path.clone(),
            media_type: current.map_or_else(|| received.media_type.clone(), |v| v.media_type.clone()),
            bytes: original.map_or(0, |original| original.size),
            sha256: original.map(|original| text(original.sha256)).unwrap_or_default(),
            version: current.map_or(0, |version| version.number),
            position: state.row.origin.position,
            accepted_at: text(state.row.origin.since),
            searchable: state.searchable,
            pages: state.pages(),
            reading: reading(&state.row),
            findings: state.findings().iter().map(Finding::from).collect(),
        }
    }
}

fn reading(row: &DocumentRow) -> Option<Reading> {
    let reading = row.reading.as_ref()?;
    let data = &reading.data;
    let names = [data.text.map(|_| "text"), data.pdf.map(|_| "pdf")];
    Some(Reading {
        generation: data.generation,
        of_version: data.of_version,
        engine: data.engine.clone(),
        ocr_pages: data.ocr_pages,
        ocr_pending: data.ocr_pending,
        blank_pages: data.blank_pages,
        mean_confidence: data.mean_confidence,
        renditions: names.into_iter().flatten().map(str::to_owned).collect(),
        recorded_at: text(reading.recorded_at),
    })
}

/// Eine Version eines Dokuments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Version {
    /// Ab 1.
    pub number: u32,
    /// Name der Datei bei der Ankunft.
    pub source_name: String,
    /// Was die Bytes sind.
    pub media_type: String,
    /// Länge.
    pub bytes: u64,
    /// SHA-256.
    pub sha256: String,
    /// Wann sie angenommen wurde.
    #[schema(format = DateTime)]
    pub accepted_at: String,
    /// Befunde.
    pub findings: Vec<Finding>,
}

impl From<&VersionRow> for Version {
    fn from(row: &VersionRow) -> Self {
        Self {
            number: row.number,
            source_name: row.source_name.clone(),
            media_type: row.media_type.clone(),
            bytes: row.original.size,
            sha256: text(row.original.sha256),
            accepted_at: text(row.accepted_at),
            findings: row.findings.iter().map(Finding::from).collect(),
        }
    }
}

/// Wohin ein Dokument soll.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DocumentFiling {
    /// Akte: Kennung, Aktenzeichen, altes Zeichen oder Schlüssel.
    #[serde(default)]
    #[schema(required = true)]
    pub case_file: String,
    /// Warum: steht danach in der Geschichte des Dokuments.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// Was der Absender über eine neue Version sagt.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct VersionFacts {
    /// Name der Datei.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// Nummer der Version, auf die diese folgen soll; ist eine andere die neueste, wird sie abgelehnt (409).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub follows: Option<u32>,
    /// SHA-256 der Bytes, wenn sie vorher bekannt ist.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<String>,
    /// Länge in Byte, wenn sie vorher bekannt ist.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bytes: Option<u64>,
}

/// Quittung: die Bytes mit dieser Prüfsumme sind dauerhaft gespeichert, und das steht an dieser Stelle im Journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Receipt {
    /// `received`: neues Dokument. `duplicate`: dieselben Bytes lagen schon in dieser Akte.
    #[schema(example = "received")]
    pub status: String,
    /// Das Dokument.
    pub document_id: String,
    /// Die Version mit diesen Bytes.
    pub version: u32,
    /// SHA-256 der Bytes.
    pub sha256: String,
    /// Länge.
    pub bytes: u64,
    /// Stelle im Journal (Nummer des Blatts).
    pub position: u64,
    /// Wann sie angenommen wurden.
    #[schema(format = DateTime)]
    pub accepted_at: String,
    /// Das Blatt: die Zeile, die `sha256sum` für die Ereignisdaten ausgibt, ohne Zeilenende.
    pub leaf: Option<String>,
    /// Name der Ereignisdaten im Speicher des Mandanten.
    pub payload: Option<String>,
    /// Hinweis für Menschen.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
    /// Was an der Ablage bei diesem Eingang auffiel, auch wenn die Bytes schon da waren.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub filing: Vec<Finding>,
    /// Andere Dokumente mit denselben Bytes, soweit sie gesehen werden dürfen (höchstens 10).
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub same_bytes: Vec<String>,
}

impl Receipt {
    /// What is known right after the commit.
    pub(in crate::api) fn accepted(status: &str, accepted: &Accepted) -> Self {
        Self {
            status: status.to_owned(),
            document_id: text(accepted.document),
            version: accepted.version,
            sha256: text(accepted.sha256),
            bytes: accepted.size,
            position: accepted.position,
            accepted_at: text(accepted.accepted_at),
            leaf: None,
            payload: None,
            note: None,
            filing: Vec::new(),
            same_bytes: Vec::new(),
        }
    }
}

impl From<&ReceiptView> for Receipt {
    fn from(view: &ReceiptView) -> Self {
        Self {
            status: "received".to_owned(),
            document_id: text(view.document),
            version: view.version,
            sha256: text(view.sha256),
            bytes: view.size,
            position: view.position,
            accepted_at: text(view.accepted_at),
            leaf: Some(view.leaf().trim_end().to_owned()),
            payload: Some(view.payload_name()),
            note: None,
            filing: Vec::new(),
            same_bytes: Vec::new(),
        }
    }
}

/// Ein Ereignis, wie es im Journal steht.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StoredEvent {
    /// Stelle im Journal.
    pub position: u64,
    /// SHA-256 der Ereignisdaten.
    pub payload: String,
    /// Art des Ereignisses.
    #[serde(rename = "type")]
    #[schema(example = "document.received")]
    pub kind: String,
    /// Wann es festgehalten wurde.
    #[schema(format = DateTime)]
    pub recorded_at: String,
    /// Wer gehandelt hat: die Kennung eines Dienstkontos, oder `system`.
    pub actor: String,
    /// Ab welchem Tag es zählt, wenn nicht ab dem der Aufzeichnung.
    #[schema(format = Date)]
    pub effective_on: Option<String>,
    /// Begründung.
    pub reason: Option<String>,
    /// Programm, das es geschrieben hat.
    pub software: String,
    /// Die Daten des Ereignisses; ihr Aufbau steht in `schema/events`.
    #[schema(value_type = Object)]
    pub data: serde_json::Value,
}

impl From<&EventView> for StoredEvent {
    fn from(view: &EventView) -> Self {
        let context = &view.recorded.context;
        Self {
            position: view.position,
            payload: text(view.payload),
            kind: view.kind().to_owned(),
            recorded_at: text(view.recorded.recorded_at),
            actor: match context.actor {
                Actor::Service(account) => text(account),
                Actor::System => "system".to_owned(),
            },
            effective_on: context.effective_on.map(text),
            reason: context.reason.clone(),
            software: view.recorded.software.clone(),
            data: view.data(),
        }
    }
}

/// Eine hervorzuhebende Stelle eines Auszugs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Mark {
    /// Erstes Zeichen, ab 0, in Unicode-Zeichen gezählt.
    pub start: usize,
    /// Zeichen hinter dem letzten.
    pub end: usize,
}

/// Ein gefundenes Dokument.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SearchHit {
    /// Kennung.
    pub document_id: String,
    /// Akte; fehlt im Posteingang.
    pub case_file: Option<String>,
    /// Aktenzeichen.
    pub file_reference: Option<String>,
    /// Betreff.
    pub title: String,
    /// Name der Datei bei der Ankunft.
    pub source_name: String,
    /// Seite, die am besten passt; fehlt, wenn die Stammdaten passen.
    pub page: Option<u32>,
    /// Auszug als reiner Text; von Stammdaten die passenden, jede mit ihrem Namen („Betreff: …“).
    pub snippet: Option<String>,
    /// Was im Auszug hervorzuheben ist.
    pub marks: Vec<Mark>,
    /// Wie gut es passt; nur innerhalb einer Suche vergleichbar.
    pub score: f32,
}

impl From<archive::SearchHit> for SearchHit {
    fn from(hit: archive::SearchHit) -> Self {
        Self {
            document_id: text(hit.document),
            case_file: hit.case_file.map(text),
            file_reference: hit.file_reference,
            title: hit.title,
            source_name: hit.source_name,
            page: hit.page,
            marks: hit.snippet.as_ref().map(marks).unwrap_or_default(),
            snippet: hit.snippet.map(|snippet| snippet.text),
            score: hit.score,
        }
    }
}

/// Byte ranges as ranges of characters: what other languages count.
fn marks(snippet: &Snippet) -> Vec<Mark> {
    let count = |end: usize| snippet.text.get(..end).map_or(0, |head| head.chars().count());
    snippet.marks.iter().map(|range| Mark { start: count(range.start), end: count(range.end) }).collect()
}

/// Eine Seite Suchtreffer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SearchPage {
    /// Dokumente, die passen.
    pub total: u64,
    /// Die besten zuerst.
    pub hits: Vec<SearchHit>,
    /// Wie die Eingabe verstanden wurde, für Menschen.
    pub notes: Vec<String>,
    /// Seitenzeiger für `cursor`; fehlt am Ende.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_count_characters_not_bytes() {
        let snippet = Snippet { text: "… für Bäume".to_owned(), marks: vec![4..8, 9..15] };
        assert_eq!(marks(&snippet), [Mark { start: 2, end: 5 }, Mark { start: 6, end: 11 }]);
    }
}
