//! The frame: units, file plan, case files; and how the tenant is doing.

use super::text;
use crate::archive;
use crate::catalogue::{CaseFileRow, PlanUnitRow, UnitRow};
use crate::domain::{CaseFileId, PlanUnitId, UnitId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Eine Organisationseinheit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Unit {
    /// Kennung.
    pub id: String,
    /// Kürzel.
    pub code: String,
    /// Name.
    pub name: String,
    /// Kennung der übergeordneten.
    pub parent: Option<String>,
}

impl Unit {
    pub(in crate::api) fn of(id: UnitId, row: UnitRow) -> Self {
        Self { id: text(id), code: row.data.code, name: row.data.name, parent: row.data.parent.map(text) }
    }
}

/// Eine Organisationseinheit, die angelegt werden soll.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnitMaking {
    /// Kürzel, eindeutig.
    pub code: String,
    /// Name.
    pub name: String,
    /// Kürzel der übergeordneten.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parent: Option<String>,
}

/// Eine Aktenplaneinheit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanUnit {
    /// Kennung.
    pub id: String,
    /// Kennzeichen.
    pub code: String,
    /// Was hierher gehört.
    pub title: String,
    /// Kennung der übergeordneten.
    pub parent: Option<String>,
    /// Aufbewahrungsklasse.
    pub retention_class: Option<String>,
    /// Aussonderungsart: `A`, `B` oder `V`.
    pub disposal: Option<String>,
    /// Rechtsgrundlage.
    pub legal_basis: Option<String>,
}

impl PlanUnit {
    pub(in crate::api) fn of(id: PlanUnitId, row: PlanUnitRow) -> Self {
        let data = row.data;
        Self {
            id: text(id),
            code: data.code,
            title: data.title,
            parent: data.parent.map(text),
            retention_class: data.retention_class,
            disposal: data.disposal.map(text),
            legal_basis: data.legal_basis,
        }
    }
}

/// Eine Aktenplaneinheit, die angelegt werden soll.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanUnitMaking {
    /// Kennzeichen, eindeutig.
    pub code: String,
    /// Was hierher gehört.
    pub title: String,
    /// Kennzeichen der übergeordneten.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parent: Option<String>,
    /// Aufbewahrungsklasse; fehlt sie, gilt die der übergeordneten.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retention_class: Option<String>,
    /// Aussonderungsart: `A`, `B` oder `V`; fehlt sie, gilt die der übergeordneten.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub disposal: Option<String>,
    /// Rechtsgrundlage.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub legal_basis: Option<String>,
}

/// Beteiligte einer Akte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// In welcher Rolle.
    pub role: String,
    /// Name.
    pub name: String,
}

/// Eine Akte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CaseFile {
    /// Kennung.
    pub id: String,
    /// Aktenzeichen.
    pub reference: String,
    /// Alte Zeichen, unter denen sie auch gefunden wird.
    pub aliases: Vec<String>,
    /// Betreff.
    pub title: String,
    /// Kennung der Aktenplaneinheit.
    pub plan_unit: String,
    /// Kennung der federführenden Organisationseinheit.
    pub unit: String,
    /// Aktentyp.
    pub case_type: String,
    /// Schutzklasse.
    pub protection: String,
    /// Aufbewahrungsklasse.
    pub retention_class: String,
    /// `electronic`, `hybrid` oder `paper`.
    pub medium: String,
    /// Standort des Papiers.
    pub paper_location: Option<String>,
    /// Laufzeit: erster Tag.
    #[schema(format = Date)]
    pub begins_on: Option<String>,
    /// Laufzeit: letzter Tag.
    #[schema(format = Date)]
    pub ends_on: Option<String>,
    /// z.d.A., wo immer das geschah.
    #[schema(format = Date)]
    pub closed_on: Option<String>,
    /// Ob sie hier geschlossen wurde und keine Dokumente mehr aufnimmt.
    pub closed_here: bool,
    /// Beteiligte.
    pub parties: Vec<Party>,
    /// Indexfelder des Aktentyps.
    pub fields: BTreeMap<String, String>,
    /// Wann sie hier angelegt wurde.
    #[schema(format = DateTime)]
    pub opened_at: String,
}

impl CaseFile {
    pub(in crate::api) fn of(id: CaseFileId, row: CaseFileRow) -> Self {
        let closed_on = row.state(id).closed_on().map(text);
        let data = row.data;
        Self {
            id: text(id),
            reference: data.reference,
            aliases: data.aliases,
            title: data.title,
            plan_unit: text(data.plan_unit),
            unit: text(data.unit),
            case_type: data.case_type,
            protection: text(data.protection),
            retention_class: data.retention_class,
            medium: text(data.medium),
            paper_location: data.paper_location,
            begins_on: data.begins_on.map(text),
            ends_on: data.ends_on.map(text),
            closed_on,
            closed_here: row.closed_here_on.is_some(),
            parties: data
                .parties
                .into_iter()
                .map(|party| Party { role: party.role, name: party.name })
                .collect(),
            fields: data.fields,
            opened_at: text(row.origin.since),
        }
    }
}

/// Eine Akte, die angelegt oder übernommen werden soll.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseFileOpening {
    /// Kennzeichen der Aktenplaneinheit.
    pub plan_unit: String,
    /// Kürzel der federführenden Organisationseinheit.
    pub unit: String,
    /// Betreff.
    pub title: String,
    /// Aktentyp.
    pub case_type: String,
    /// Aktenzeichen einer übernommenen Akte; fehlt es, wird das nächste gezogen.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reference: Option<String>,
    /// Alte Zeichen.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub aliases: Vec<String>,
    /// Schutzklasse: `normal`, `personnel`, `social`, `youth`, `tax`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub protection: Option<String>,
    /// Aufbewahrungsklasse; fehlt sie, gilt die des Aktenplans.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retention_class: Option<String>,
    /// `electronic` (wenn nichts dasteht), `hybrid`, `paper`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub medium: Option<String>,
    /// Standort des Papiers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub paper_location: Option<String>,
    /// Laufzeit: erster Tag.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(format = Date)]
    pub begins_on: Option<String>,
    /// Laufzeit: letzter Tag.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(format = Date)]
    pub ends_on: Option<String>,
    /// z.d.A. einer geschlossen übernommenen Akte.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(format = Date)]
    pub closed_on: Option<String>,
    /// Beteiligte.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub parties: Vec<Party>,
    /// Indexfelder.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub fields: BTreeMap<String, String>,
    /// Schlüssel des Absenders für diese Akte: derselbe Schlüssel ist dieselbe Akte.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<String>,
}

/// z.d.A.: wann und warum.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseFileClosing {
    /// Ab welchem Tag; fehlt er, heute.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(format = Date)]
    pub closed_on: Option<String>,
    /// Begründung.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// Wie es dem Mandanten geht; ohne Personenbezug.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// Programm und Version.
    pub software: String,
    /// Ob geschrieben werden kann.
    pub writable: bool,
    /// Warum nicht.
    pub halted: Option<String>,
    /// Letzter Eintrag des Journals.
    pub commits: u64,
    /// Blätter des Journals.
    pub leaves: u64,
    /// Wurzel über alle Blätter (RFC 6962).
    pub root: String,
    /// Aufträge, die auf einen Eintrag warten.
    pub waiting: u64,
    /// Eintrag, den das Suchverzeichnis erreicht hat.
    pub indexed_commits: u64,
    /// Dokumente, die noch gelesen werden: einzeln, aus Chargen, auf Texterkennung wartend.
    pub unread: [u64; 3],
    /// Akten.
    pub case_files: u64,
    /// Dokumente.
    pub documents: u64,
    /// Bytes aller Originale.
    pub bytes: u64,
    /// Seiten, soweit bekannt.
    pub pages: u64,
    /// Ob hier Texterkennung möglich ist.
    pub ocr_available: bool,
    /// Zeitzone des Mandanten: in ihr zählen hier Tage.
    #[schema(example = "Europe/Berlin")]
    pub time_zone: String,
}

impl Health {
    pub(in crate::api) fn new(health: &archive::Health, time_zone: String) -> Self {
        let applied = &health.journal.applied;
        Self {
            software: archive::SOFTWARE.to_owned(),
            writable: health.journal.halted.is_none(),
            halted: health.journal.halted.map(|halt| halt.sentence().to_owned()),
            commits: applied.seq,
            leaves: applied.frontier.size(),
            root: text(applied.frontier.root()),
            waiting: health.journal.waiting as u64,
            indexed_commits: health.indexed_seq,
            unread: health.unread,
            case_files: health.summary.case_files,
            documents: health.summary.documents,
            bytes: health.summary.bytes,
            pages: health.summary.pages,
            ocr_available: health.ocr_available,
            time_zone,
        }
    }
}
