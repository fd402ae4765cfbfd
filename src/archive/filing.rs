//! Filing by path: a template says which case file a path means.

use super::{Archive, Error, Kind, NewCaseFile, Permit};
use crate::domain::CaseFileId;
use crate::domain::codes::{Medium, Protection};
use crate::domain::document::Arrival;
use crate::domain::finding::{Finding, FindingCode};
use crate::domain::text::{Line, source_name};
use crate::ingest::manifest::ListedCaseFile;
use crate::ingest::template::{Filing, PathTemplate, reference_spellings};
use crate::ingest::{Declared, Entry, Found};
use jiff::civil::date;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// How case files are opened that a template names and that do not exist.
#[derive(Clone, Debug)]
pub struct NewByPath {
    /// Code of the unit, where the template names none.
    pub unit: Option<Line>,
    /// Aktentyp.
    pub case_type: Line,
}

/// Where case files are looked up and opened: an archive here, or one behind a server.
pub trait Shelf: Sync {
    /// The case file that a person means by a text.
    ///
    /// # Errors
    /// When it cannot be asked, or the text means several.
    fn find(&self, name: &str) -> Result<Option<CaseFileId>, Error>;

    /// Opens a case file, or finds the one with its key or reference. Says whether it is new.
    ///
    /// # Errors
    /// When the rules refuse it.
    fn open(&self, new: &ListedCaseFile) -> Result<(CaseFileId, bool), Error>;
}

/// The archive in this process.
struct Here<'a>(&'a Archive, &'a Permit);

impl Shelf for Here<'_> {
    fn find(&self, name: &str) -> Result<Option<CaseFileId>, Error> {
        self.0.find_case_file(self.1, name)
    }

    fn open(&self, new: &ListedCaseFile) -> Result<(CaseFileId, bool), Error> {
        let wish = new.wish(self.0.unit_named(new.unit.as_str())?);
        self.0.open_case_file(self.1, &NewCaseFile { plan_unit: new.plan_unit.clone(), wish })
    }
}

impl Archive {
    /// This archive as a shelf.
    pub fn shelf<'a>(&'a self, permit: &'a Permit) -> Box<dyn Shelf + Send + 'a> {
        Box::new(Here(self, permit))
    }
}

/// Files paths away, one after the other.
pub struct Filer<'a> {
    shelf: Box<dyn Shelf + Send + 'a>,
    template: &'a PathTemplate,
    create: Option<NewByPath>,
    /// What earlier paths meant, or why they meant nothing.
    known: HashMap<Wanted, Result<CaseFileId, String>>,
}

/// What of a filing decides about the case file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Wanted {
    plan_unit: Option<String>,
    unit: Option<String>,
    reference: Option<String>,
    title: Option<String>,
    year: Option<i16>,
}

impl Wanted {
    /// The same path means the same case file when it is read again.
    fn import_key(&self) -> String {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let year = self.year.map(|year| year.to_string()).unwrap_or_default();
        format!("pfad:{}/{}/{}/{year}", text(&self.plan_unit), text(&self.unit), text(&self.title))
    }
}

impl<'a> Filer<'a> {
    /// Files by this template; opens missing case files if told how.
    pub fn new(
        archive: &'a Archive,
        permit: &'a Permit,
        template: &'a PathTemplate,
        create: Option<NewByPath>,
    ) -> Self {
        Self::over(archive.shelf(permit), template, create)
    }

    /// The same with a shelf that may be somewhere else.
    pub fn over(
        shelf: Box<dyn Shelf + Send + 'a>,
        template: &'a PathTemplate,
        create: Option<NewByPath>,
    ) -> Self {
        Self { shelf, template, create, known: HashMap::new() }
    }

    /// A file that was found, with what its path says. What its path does not say leads to the inbox, with a
    /// finding. `relative` is the path below the source.
    pub fn entry(&mut self, found: Found, relative: &Path, arrival: &Arrival) -> Entry {
        let mut arrival = arrival.clone();
        let mut findings = Vec::new();
        let mut target = None;
        let filing = relative.to_str().and_then(|path| self.template.read(path));
        let filed = match filing {
            None => Err(format!("der Pfad passt nicht zur Vorlage {}", self.template)),
            Some(filing) => {
                describe(&mut arrival, &filing);
                if self.template.names_case_file() { self.case_file(filing).map(Some) } else { Ok(None) }
            }
        };
        match filed {
            Ok(id) => target = id,
            Err(detail) if found.rejection.is_none() => {
                findings.push(Finding { code: FindingCode::Unfiled, page: None, detail: Some(detail) });
            }
            Err(_) => {}
        }
        Entry { found, arrival, target, findings, declared: Declared::default() }
    }

    fn case_file(&mut self, filing: Filing) -> Result<CaseFileId, String> {
        let Filing { plan_unit, unit, reference, title, year, .. } = filing;
        let wanted = Wanted { plan_unit, unit, reference, title, year };
        if let Some(known) = self.known.get(&wanted) {
            return known.clone();
        }
        let result = self.look_up(&wanted).map_err(|error| error.public);
        self.known.insert(wanted, result.clone());
        result
    }

    fn look_up(&self, wanted: &Wanted) -> Result<CaseFileId, Error> {
        let names = match &wanted.reference {
            Some(reference) => reference_spellings(reference),
            None => vec![wanted.import_key()],
        };
        for name in names {
            if let Some(id) = self.shelf.find(&name)? {
                return Ok(id);
            }
        }
        let shown = wanted.reference.as_ref().or(wanted.title.as_ref()).map(|text| source_name(text));
        let missing = format!("Akte „{}“ nicht gefunden", shown.unwrap_or_default());
        match &self.create {
            Some(how) if wanted.plan_unit.is_some() && wanted.title.is_some() => self.open(wanted, how),
            _ => Err(Error::new(Kind::Missing, missing)),
        }
    }

    fn open(&self, wanted: &Wanted, how: &NewByPath) -> Result<CaseFileId, Error> {
        let invalid = |what: &str, error: &dyn std::fmt::Display| {
            Error::new(Kind::Invalid, format!("{what} im Pfad geht nicht: {error}"))
        };
        let line = |what: &str, text: &Option<String>| {
            Line::new(text.as_deref().unwrap_or_default()).map_err(|error| invalid(what, &error))
        };
        let unit = match &wanted.unit {
            Some(_) => line("Die Organisationseinheit", &wanted.unit)?,
            None => how.unit.clone().ok_or_else(|| {
                Error::new(
                    Kind::Invalid,
                    "Für neue Akten fehlt die Organisationseinheit ({unit} oder --unit)",
                )
            })?,
        };
        let reference = wanted.reference.as_ref().map(|name| {
            // The likeliest reading of a name that has no counterpart yet: `%XX`, else `_` as `/`.
            let spellings = reference_spellings(name);
            spellings
                .get(1)
                .unwrap_or(&spellings[0])
                .parse()
                .map_err(|error| invalid("Das Aktenzeichen", &error))
        });
        let reference = reference.transpose()?;
        let key = reference.is_none().then(|| Some(wanted.import_key()));
        let new = ListedCaseFile {
            key: key.map(|key| line("Der Schlüssel", &key)).transpose()?,
            plan_unit: line("Die Aktenplaneinheit", &wanted.plan_unit)?,
            unit,
            title: line("Der Betreff", &wanted.title)?,
            case_type: how.case_type.clone(),
            protection: Protection::Normal,
            reference,
            aliases: Vec::new(),
            medium: Medium::Electronic,
            paper_location: None,
            begins_on: wanted.year.map(|year| date(year, 1, 1)),
            ends_on: None,
            closed_on: None,
            retention_class: None,
            parties: Vec::new(),
            fields: BTreeMap::new(),
        };
        self.shelf.open(&new).map(|(id, _)| id)
    }
}

/// What a path says about the document itself.
fn describe(arrival: &mut Arrival, filing: &Filing) {
    let line = |text: &Option<String>| text.as_deref().and_then(|text| Line::new(text).ok());
    arrival.document_date = filing.document_date.or(arrival.document_date);
    arrival.document_type = line(&filing.document_type).or(arrival.document_type.take());
    let stem = filing.name.as_deref().map(|name| match name.rsplit_once('.') {
        Some((stem, _)) if !stem.trim().is_empty() => stem,
        _ => name,
    });
    arrival.title = stem.and_then(|stem| Line::new(stem).ok()).or(arrival.title.take());
}
