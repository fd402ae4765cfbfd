//! What a sender says about a file, parsed: each field names what is wrong with it.

use super::Problem;
use super::problem::FieldProblem;
use crate::archive::{Archive, Error, Permit};
use crate::domain::CaseFileId;
use crate::domain::codes::Origin;
use crate::domain::document::Arrival;
use crate::domain::finding::{Finding, FindingCode};
use crate::domain::text::{Line, source_name};
use crate::ingest::Declared;
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::str::FromStr;
use utoipa::{IntoParams, ToSchema};

/// Was der Absender über eine Datei sagt.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DocumentFacts {
    /// Name der Datei.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// Betreff; fehlt er, der Name ohne Endung.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub title: Option<String>,
    /// Akte: Kennung, Aktenzeichen, altes Zeichen oder Schlüssel; fehlt sie, der Posteingang.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub case_file: Option<String>,
    /// Warum keine Akte genannt werden konnte: das Dokument wartet im Posteingang, und dies ist sein Befund.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unfiled: Option<String>,
    /// Kürzel der Organisationseinheit, in deren Posteingang es geht.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unit: Option<String>,
    /// Dokumenttyp.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub document_type: Option<String>,
    /// Datum des Schreibens.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(format = Date)]
    pub document_date: Option<String>,
    /// Posteingangsdatum.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(format = Date)]
    pub received_on: Option<String>,
    /// Richtung: `in`, `out`, `internal`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub direction: Option<String>,
    /// Herkunft: `upload` (wenn nichts dasteht), `scan`, `mail`, `ozg`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub origin: Option<String>,
    /// Geheimhaltungsgrad: `offen`, `vs-nfd`; höhere werden abgelehnt.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub classification: Option<String>,
    /// Charge, zu der die Datei gehört (bei einer Sammelübertragung ohne Wirkung).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub batch: Option<String>,
    /// Pfad in der Quelle der Charge; fehlt er, der Name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<String>,
    /// SHA-256 der Bytes, wenn sie vorher bekannt ist.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<String>,
    /// Länge in Byte, wenn sie vorher bekannt ist.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bytes: Option<u64>,
}

/// Collects what is wrong with the fields of a request.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<FieldProblem>);

impl Fields {
    /// A field that may be missing.
    pub(super) fn optional<T>(&mut self, field: &str, text: Option<&String>) -> Option<T>
    where
        T: FromStr<Err: Display>,
    {
        self.take(field, text.map(|text| text.parse::<T>()))
    }

    /// A field that must be there.
    pub(super) fn line(&mut self, field: &str, text: &str) -> Option<Line> {
        self.take(field, Some(Line::new(text)))
    }

    /// A civil date.
    pub(super) fn date(&mut self, field: &str, text: Option<&String>) -> Option<jiff::civil::Date> {
        let parse = |text: &String| match text.parse::<jiff::civil::Date>() {
            // Only this spelling: jiff also takes times and zones, which have no place in a civil date.
            Ok(date) if date.to_string() == *text => Ok(date),
            _ => Err("erwartet wird ein Tag in der Form 2026-03-31"),
        };
        self.take(field, text.map(parse))
    }

    /// An instant.
    pub(super) fn instant(&mut self, field: &str, text: Option<&String>) -> Option<jiff::Timestamp> {
        let wrong = "erwartet wird ein Zeitpunkt in der Form 2026-03-31T08:15:00Z";
        self.take(field, text.map(|text| text.parse::<jiff::Timestamp>().map_err(|_| wrong)))
    }

    fn take<T>(&mut self, field: &str, parsed: Option<Result<T, impl Display>>) -> Option<T> {
        match parsed? {
            Ok(value) => Some(value),
            Err(error) => {
                self.0.push(FieldProblem { field: field.to_owned(), detail: error.to_string() });
                None
            }
        }
    }

    /// Notes a problem that parsing alone does not see.
    pub(super) fn wrong(&mut self, field: &str, detail: &str) {
        self.0.push(FieldProblem { field: field.to_owned(), detail: detail.to_owned() });
    }

    /// Everything is fine, or a problem that names the fields.
    pub(super) fn finish(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::fields(self.0)) }
    }
}

/// A file that is announced.
#[derive(Clone, Debug)]
pub(super) struct Announced {
    pub(super) arrival: Arrival,
    pub(super) declared: Declared,
    /// What is odd about its filing.
    pub(super) filing: Vec<Finding>,
    /// Whether the sender waits until it is found.
    pub(super) is_urgent: bool,
    case_file: Option<String>,
    unit: Option<String>,
}

impl DocumentFacts {
    /// Parses the facts. `name` is what the transfer itself calls the file.
    pub(super) fn parse(&self, name: Option<&str>, key: Option<String>) -> Result<Announced, Problem> {
        let mut fields = Fields::default();
        let name = self.name.as_deref().or(name).unwrap_or("ohne Namen");
        let origin = fields.optional("origin", self.origin.as_ref()).unwrap_or(Origin::Upload);
        let arrival = Arrival {
            title: fields.optional("title", self.title.as_ref()),
            source_path: self.path.as_deref().map(source_name),
            document_type: fields.optional("document_type", self.document_type.as_ref()),
            document_date: fields.date("document_date", self.document_date.as_ref()),
            received_on: fields.date("received_on", self.received_on.as_ref()),
            direction: fields.optional("direction", self.direction.as_ref()),
            classification: fields.optional("classification", self.classification.as_ref()),
            batch: fields.optional("batch", self.batch.as_ref()),
            idempotency_key: key,
            ..Arrival::named(name, origin)
        };
        let sha256 = fields.optional("sha256", self.sha256.as_ref());
        let unfiled = fields.optional::<Line>("unfiled", self.unfiled.as_ref());
        if unfiled.is_some() && self.case_file.is_some() {
            fields.wrong("unfiled", "steht nur bei Dateien ohne „case_file“");
        }
        fields.finish()?;
        let unfiled = unfiled.map(|why| why.to_string());
        let unfiled =
            unfiled.map(|why| Finding { code: FindingCode::Unfiled, page: None, detail: Some(why) });
        Ok(Announced {
            arrival,
            declared: Declared { sha256, size: self.bytes },
            filing: unfiled.into_iter().collect(),
            is_urgent: false,
            case_file: self.case_file.clone(),
            unit: self.unit.clone(),
        })
    }
}

impl Announced {
    /// Looks up the case file and the unit.
    pub(super) fn resolve(&mut self, archive: &Archive, permit: &Permit) -> Result<Target, Error> {
        if let Some(code) = &self.unit {
            self.arrival.unit = Some(archive.unit_named(code)?);
        }
        let Some(text) = &self.case_file else { return Ok(Target::Inbox) };
        let found = archive.find_case_file(permit, text)?;
        Ok(found.map_or(Target::Unknown, Target::CaseFile))
    }
}

/// Where a file is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// No case file was named.
    Inbox,
    /// Into this one.
    CaseFile(CaseFileId),
    /// Into one that there is none of.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_that_is_wrong_is_named() {
        let facts = DocumentFacts {
            title: Some("a\nb".into()),
            document_date: Some("2026-02-30".into()),
            received_on: Some("2026-02-03T00:00".into()),
            direction: Some("up".into()),
            origin: Some("fax".into()),
            classification: Some("geheimer".into()),
            batch: Some("7".into()),
            sha256: Some("00".into()),
            ..DocumentFacts::default()
        };
        let problem = facts.parse(None, None).unwrap_err();
        let named: Vec<&str> = problem.errors.iter().map(|error| error.field.as_str()).collect();
        let expected = [
            "origin",
            "title",
            "document_date",
            "received_on",
            "direction",
            "classification",
            "batch",
            "sha256",
        ];
        assert_eq!(named, expected);
        assert_eq!(problem.status, 400);
    }

    #[test]
    fn a_name_is_kept_as_far_as_it_can_be_shown() {
        let name = |name: &str| DocumentFacts::default().parse(Some(name), None).unwrap().arrival.source_name;
        assert_eq!(name("Straßenbau.pdf"), "Straßenbau.pdf");
        assert_eq!(name("a\nb"), "a␊b");
        assert_eq!(name("../../etc/passwd"), "../../etc/passwd");
        assert_eq!(name(&"x".repeat(10_000)).chars().count(), 1_000);
        assert_eq!(DocumentFacts::default().parse(None, None).unwrap().arrival.source_name, "ohne Namen");
    }
}
