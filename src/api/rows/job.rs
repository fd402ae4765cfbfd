//! Jobs: work that takes longer than a request.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Ein Auftrag, der begonnen werden soll.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobAsked {
    /// Was zu tun ist: `verify`.
    pub kind: String,
    /// Nur so viele Objekte nachlesen.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sample: Option<u64>,
    /// Welche das sind, bestimmt diese Zahl (0, wenn sie fehlt).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seed: Option<u64>,
    /// Nur Objekte, die seit diesem Zeitpunkt hinzukamen.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(format = DateTime)]
    pub since: Option<String>,
    /// Dazu den Katalog aus dem Journal neu ableiten und jede Zeile vergleichen (nur im Ganzen).
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub replay: bool,
    /// Größe und Wurzel, die das Journal hatte: `GRÖSSE:WURZEL`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expect: Option<String>,
}

/// Wo ein Auftrag steht.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Wartet.
    Queued,
    /// Läuft.
    Running,
    /// Fertig; das Ergebnis steht dabei.
    Done,
    /// Abgebrochen; `problem` sagt, warum.
    Failed,
}

/// Ein Auftrag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Kennung.
    pub id: String,
    /// Was zu tun ist.
    pub kind: String,
    /// Wo er steht.
    pub state: JobState,
    /// Objekte, die erledigt sind.
    pub done: u64,
    /// Objekte im Ganzen, sobald das bekannt ist.
    pub total: Option<u64>,
    /// Gelesene Bytes.
    pub bytes: u64,
    /// Wann er begonnen wurde.
    #[schema(format = DateTime)]
    pub started_at: String,
    /// Wann er endete.
    #[schema(format = DateTime)]
    pub ended_at: Option<String>,
    /// Ergebnis.
    pub result: Option<JobResult>,
    /// Warum er abbrach.
    pub problem: Option<String>,
}

/// Ergebnis einer Prüfung.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobResult {
    /// Geprüfte Objekte.
    pub objects: u64,
    /// Gelesene Bytes.
    pub bytes: u64,
    /// Einträge des Journals.
    pub commits: u64,
    /// Blätter des Journals.
    pub leaves: u64,
    /// Wurzel über alle Blätter.
    pub root: String,
    /// Befunde: etwas fehlt oder ist verändert.
    pub findings: Vec<VerifyFault>,
    /// Hinweise.
    pub notices: Vec<VerifyFault>,
}

/// Ein Befund oder Hinweis einer Prüfung.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerifyFault {
    /// Art.
    pub kind: String,
    /// Welches Objekt.
    pub object: String,
    /// Was damit ist.
    pub detail: String,
}

/// Was noch gelesen wird.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Digitising {
    /// Einzeln eingegangene Dokumente, die warten.
    pub single: u64,
    /// Dokumente aus Chargen, die warten.
    pub batches: u64,
    /// Dokumente, deren Seiten auf Texterkennung warten, bis sie hier installiert ist.
    pub ocr_pending: u64,
    /// Ob hier Texterkennung möglich ist.
    pub ocr_available: bool,
}

/// Die letzten Aufträge, neueste zuerst, und was das Lesen der Dokumente angeht.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobPage {
    /// Aufträge.
    pub items: Vec<Job>,
    /// Stand des Lesens.
    pub digitising: Digitising,
}
