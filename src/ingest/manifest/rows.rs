//! What the kinds of rows say.

use super::super::batch::BatchFacts;
use super::super::intake::Declared;
use super::cells::{Cells, Taker};
use super::{At, Listed, Manifest, Problem};
use crate::domain::codes::Origin;
use crate::domain::codes::{Disposal, Medium, Protection};
use crate::domain::document::Arrival;
use crate::domain::event::Party;
use crate::domain::reference::FileReference;
use crate::domain::text::{Line, nearest};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

/// Organisationseinheit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedUnit {
    /// Short code.
    pub code: Line,
    /// Name.
    pub name: Line,
    /// Code of the unit above.
    pub parent: Option<Line>,
}

/// Aktenplaneinheit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPlanUnit {
    /// Code.
    pub code: Line,
    /// What belongs there.
    pub title: Line,
    /// Code of the plan unit above.
    pub parent: Option<Line>,
    /// Aufbewahrungsklasse.
    pub retention_class: Option<Line>,
    /// Aussonderungsart.
    pub disposal: Option<Disposal>,
    /// The law behind the class.
    pub legal_basis: Option<Line>,
}

/// Akte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedCaseFile {
    /// What documents of the manifest call it.
    pub key: Option<Line>,
    /// Code of its plan unit.
    pub plan_unit: Line,
    /// Code of its unit.
    pub unit: Line,
    /// Betreff.
    pub title: Line,
    /// Aktentyp.
    pub case_type: Line,
    /// Schutzklasse.
    pub protection: Protection,
    /// Aktenzeichen of a file taken over.
    pub reference: Option<FileReference>,
    /// Old signatures.
    pub aliases: Vec<Line>,
    /// Medium.
    pub medium: Medium,
    /// Where the paper stands.
    pub paper_location: Option<Line>,
    /// Laufzeit: first day.
    pub begins_on: Option<Date>,
    /// Laufzeit: last day.
    pub ends_on: Option<Date>,
    /// z.d.A. of a file taken over closed.
    pub closed_on: Option<Date>,
    /// Aufbewahrungsklasse; none means the plan unit's.
    pub retention_class: Option<Line>,
    /// Beteiligte.
    pub parties: Vec<Party>,
    /// Index fields.
    pub fields: BTreeMap<String, String>,
}

/// Dokument: a file that should be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedDocument {
    /// Where its row stands.
    pub at: At,
    /// Its path, relative to the folder of the manifest; empty when the row names none.
    pub path: String,
    /// Key or reference of its case file.
    pub case_file: Option<String>,
    /// Name of its batch.
    pub batch: Option<String>,
    /// What else is known of it; the file's name is filled in later.
    pub arrival: Arrival,
    /// Whether the row says where it came from.
    pub has_origin: bool,
    /// What is said about its bytes.
    pub declared: Declared,
    /// What is wrong with the row: the file is then rejected.
    pub problems: Vec<Problem>,
}

const UNIT: &str = "unit";
const PLAN_UNIT: &str = "plan_unit";
const CASE_FILE: &str = "case_file";
const BATCH: &str = "batch";
const DOCUMENT: &str = "document";

/// The kinds of rows.
pub(super) const KINDS: [&str; 5] = [UNIT, PLAN_UNIT, CASE_FILE, BATCH, DOCUMENT];

/// The kind of all rows of a CSV file without a column `kind`, by its header.
pub(super) fn kind_of(columns: &[String]) -> Option<&'static str> {
    let has = |name: &str| columns.iter().any(|column| column == name);
    if has("path") {
        Some(DOCUMENT)
    } else if has("case_type") || (has("plan_unit") && has("title")) {
        Some(CASE_FILE)
    } else if has("code") && has("title") {
        Some(PLAN_UNIT)
    } else if has("code") && has("name") {
        Some(UNIT)
    } else {
        has("name").then_some(BATCH)
    }
}

/// Puts a row where it belongs.
pub(super) fn add(manifest: &mut Manifest, at: At, kind: &str, cells: Cells, zone: &TimeZone) {
    let Some(kind) = KINDS.into_iter().find(|known| *known == kind) else {
        let near = nearest(kind, KINDS).unwrap_or_default();
        let detail = format!(
            "die Art „{}“ gibt es nicht (möglich: {}; am ähnlichsten: „{near}“)",
            crate::domain::text::source_name(kind),
            KINDS.join(", ")
        );
        manifest.problems.push(Problem { at, column: Some("kind".to_owned()), detail });
        return;
    };
    let mut taker = Taker::new(&at, kind, zone, cells);
    if kind == DOCUMENT {
        let document = document(&mut taker, &at);
        let problems = taker.finish();
        manifest.documents.push(ListedDocument { problems, ..document });
        return;
    }
    let row = match kind {
        UNIT => unit(&mut taker).map(Row::Unit),
        PLAN_UNIT => plan_unit(&mut taker).map(Row::PlanUnit),
        CASE_FILE => case_file(&mut taker).map(|row| Row::CaseFile(Box::new(row))),
        _ => batch(&mut taker, &at).map(|row| Row::Batch(Box::new(row))),
    };
    let problems = taker.finish();
    if !problems.is_empty() {
        manifest.problems.extend(problems);
        return;
    }
    match row {
        Some(Row::Unit(row)) => manifest.units.push(Listed { at, row }),
        Some(Row::PlanUnit(row)) => manifest.plan_units.push(Listed { at, row }),
        Some(Row::CaseFile(row)) => manifest.case_files.push(Listed { at, row: *row }),
        Some(Row::Batch(row)) => manifest.batches.push(Listed { at, row: *row }),
        None => {}
    }
}

enum Row {
    Unit(ListedUnit),
    PlanUnit(ListedPlanUnit),
    CaseFile(Box<ListedCaseFile>),
    Batch(Box<BatchFacts>),
}

fn unit(taker: &mut Taker<'_>) -> Option<ListedUnit> {
    let (code, name) = (taker.required("code"), taker.required("name"));
    let parent = taker.parse("parent");
    Some(ListedUnit { code: code?, name: name?, parent })
}

fn plan_unit(taker: &mut Taker<'_>) -> Option<ListedPlanUnit> {
    let (code, title) = (taker.required("code"), taker.required("title"));
    let (parent, retention_class) = (taker.parse("parent"), taker.parse("retention_class"));
    let (disposal, legal_basis) = (taker.parse("disposal"), taker.parse("legal_basis"));
    Some(ListedPlanUnit { code: code?, title: title?, parent, retention_class, disposal, legal_basis })
}

fn case_file(taker: &mut Taker<'_>) -> Option<ListedCaseFile> {
    let (key, reference) = (taker.parse("key"), taker.parse("reference"));
    let (plan_unit, unit) = (taker.required("plan_unit"), taker.required("unit"));
    let (title, case_type) = (taker.required("title"), taker.required("case_type"));
    let protection = taker.parse("protection").unwrap_or(Protection::Normal);
    let aliases = taker.lines("aliases");
    let medium = taker.parse("medium").unwrap_or(Medium::Electronic);
    let paper_location = taker.parse("paper_location");
    let (begins_on, ends_on, closed_on) =
        (taker.day("begins_on"), taker.day("ends_on"), taker.day("closed_on"));
    let retention_class = taker.parse("retention_class");
    let parties = taker
        .parties("parties")
        .into_iter()
        .map(|(role, name)| Party { role: role.to_string(), name: name.to_string() })
        .collect();
    let fields = taker.fields("fields");
    if key.is_none() && reference.is_none() {
        taker.problem(
            "key",
            "eine Akte braucht einen Schlüssel („key“) oder ein Aktenzeichen („reference“), sonst wäre sie bei \
             jeder Wiederholung eine neue"
                .to_owned(),
        );
    }
    Some(ListedCaseFile {
        key,
        plan_unit: plan_unit?,
        unit: unit?,
        title: title?,
        case_type: case_type?,
        protection,
        reference,
        aliases,
        medium,
        paper_location,
        begins_on,
        ends_on,
        closed_on,
        retention_class,
        parties,
        fields,
    })
}

fn batch(taker: &mut Taker<'_>, at: &At) -> Option<BatchFacts> {
    let text = |line: Option<Line>| line.map(|line| line.to_string());
    let name: Option<Line> = taker.required("name");
    let facts = BatchFacts {
        name: name.as_ref().map(Line::to_string).unwrap_or_default(),
        source: super::super::source::shown_path(&at.file),
        box_label: text(taker.parse("box_label")),
        person: text(taker.parse("person")),
        station: text(taker.parse("station")),
        scanner: text(taker.parse("scanner")),
        profile: text(taker.parse("profile")),
        scanned_at: taker.instant("scanned_at"),
        procedure_version: text(taker.parse("procedure_version")),
        sheets_expected: taker.count("sheets_expected"),
        pages_expected: taker.count("pages_expected"),
        anomalies: taker.lines("anomalies").iter().map(Line::to_string).collect(),
    };
    name.map(|_| facts)
}

fn document(taker: &mut Taker<'_>, at: &At) -> ListedDocument {
    let path = taker.text("path").unwrap_or_default();
    if path.trim().is_empty() {
        taker.problem("path", "eine Zeile der Art „document“ braucht hier einen Wert".to_owned());
    }
    let case_file = taker.parse::<Line>("case_file").map(|line| line.to_string());
    let batch = taker.parse::<Line>("batch").map(|line| line.to_string());
    let origin: Option<Origin> = taker.parse("origin");
    let name = path.rsplit('/').next().unwrap_or(&path);
    let arrival = Arrival {
        title: taker.parse("title"),
        unit: None,
        document_type: taker.parse("document_type"),
        document_date: taker.day("document_date"),
        received_on: taker.day("received_on"),
        direction: taker.parse("direction"),
        classification: taker.parse("classification"),
        ..Arrival::named(name, origin.unwrap_or(Origin::Upload))
    };
    let declared = Declared { sha256: taker.parse("sha256"), size: taker.count("size") };
    ListedDocument {
        at: at.clone(),
        path,
        case_file,
        batch,
        arrival,
        has_origin: origin.is_some(),
        declared,
        problems: Vec::new(),
    }
}
