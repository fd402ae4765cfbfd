//! The cells of a row, whatever the file's format, and taking typed values out of them.

use super::super::template::day;
use super::{At, Problem};
use crate::domain::text::{Line, nearest, source_name};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

/// Between the items of a list in one CSV cell.
const LIST: char = '|';

/// A cell as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// One text: all there is in CSV.
    Text(String),
    /// A JSON array of texts.
    List(Vec<String>),
    /// A JSON array of objects with `role` and `name`.
    Parties(Vec<(String, String)>),
    /// A JSON object of texts, or CSV columns `fields.*`.
    Fields(BTreeMap<String, String>),
    /// A JSON value that no column takes.
    Strange(String),
}

/// A row's cells by column; empty ones are left out.
pub(super) type Cells = BTreeMap<String, Cell>;

/// Takes values out of a row's cells. What goes wrong is noted, what is left over is unknown.
pub(super) struct Taker<'a> {
    at: &'a At,
    kind: &'static str,
    zone: &'a TimeZone,
    cells: Cells,
    columns: Vec<&'static str>,
    problems: Vec<Problem>,
}

impl<'a> Taker<'a> {
    pub(super) fn new(at: &'a At, kind: &'static str, zone: &'a TimeZone, cells: Cells) -> Self {
        Self { at, kind, zone, cells, columns: Vec::new(), problems: Vec::new() }
    }

    pub(super) fn problem(&mut self, column: &str, detail: String) {
        self.problems.push(Problem { at: self.at.clone(), column: Some(column.to_owned()), detail });
    }

    fn cell(&mut self, column: &'static str) -> Option<Cell> {
        self.columns.push(column);
        self.cells.remove(column)
    }

    /// The text of a cell.
    pub(super) fn text(&mut self, column: &'static str) -> Option<String> {
        if let Cell::Text(text) = self.cell(column)? {
            return Some(text);
        }
        self.problem(column, "hier steht ein einzelner Text, keine Liste und kein Objekt".to_owned());
        None
    }

    fn with<T>(&mut self, column: &'static str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(column)?;
        match read(text.trim()) {
            Ok(value) => Some(value),
            Err(detail) => {
                self.problem(column, detail);
                None
            }
        }
    }

    /// A value that reads itself. Its error says what is wrong; the value is added unless it is named there.
    pub(super) fn parse<T: FromStr<Err: Display>>(&mut self, column: &'static str) -> Option<T> {
        self.with(column, |text| text.parse().map_err(|error: T::Err| said(text, &error.to_string())))
    }

    /// A value that must be there.
    pub(super) fn required<T: FromStr<Err: Display>>(&mut self, column: &'static str) -> Option<T> {
        if !self.cells.contains_key(column) {
            self.columns.push(column);
            self.problem(column, format!("eine Zeile der Art „{}“ braucht hier einen Wert", self.kind));
            return None;
        }
        self.parse(column)
    }

    pub(super) fn day(&mut self, column: &'static str) -> Option<Date> {
        self.with(column, |text| {
            day(text).ok_or_else(|| said(text, "kein Datum (erwartet wird 2024-03-01 oder 01.03.2024)"))
        })
    }

    pub(super) fn instant(&mut self, column: &'static str) -> Option<Timestamp> {
        let zone = self.zone.clone();
        self.with(column, |text| {
            let local = || text.parse::<DateTime>().ok()?.to_zoned(zone).ok().map(|zoned| zoned.timestamp());
            let wrong = "kein Zeitpunkt (erwartet wird 2024-03-01T08:30:00+01:00 oder 2024-03-01 08:30)";
            text.parse().ok().or_else(local).ok_or_else(|| said(text, wrong))
        })
    }

    pub(super) fn count<T: FromStr>(&mut self, column: &'static str) -> Option<T> {
        self.with(column, |text| text.parse().map_err(|_| said(text, "keine ganze Zahl ab 0")))
    }

    /// Lines of a list: a JSON array, or one cell with `|` between them.
    pub(super) fn lines(&mut self, column: &'static str) -> Vec<Line> {
        let items: Vec<String> = match self.cell(column) {
            None => return Vec::new(),
            Some(Cell::List(items)) => items,
            Some(Cell::Text(text)) => {
                text.split(LIST).map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
            }
            Some(_) => {
                self.problem(column, "hier steht eine Liste von Texten".to_owned());
                return Vec::new();
            }
        };
        let mut lines = Vec::with_capacity(items.len());
        for item in items {
            match Line::new(&item) {
                Ok(line) => lines.push(line),
                Err(error) => self.problem(column, said(&item, &error.to_string())),
            }
        }
        lines
    }

    /// Parties: `Rolle: Name | Rolle: Name`, or a JSON array of objects.
    pub(super) fn parties(&mut self, column: &'static str) -> Vec<(Line, Line)> {
        let wrong = "erwartet wird „Rolle: Name“, mehrere mit „|“ getrennt";
        let pairs = match self.cell(column) {
            None => return Vec::new(),
            Some(Cell::Parties(pairs)) => pairs,
            Some(Cell::List(items)) if items.is_empty() => return Vec::new(),
            Some(Cell::Text(text)) => {
                let mut pairs = Vec::new();
                for item in text.split(LIST).filter(|item| !item.trim().is_empty()) {
                    match item.split_once(':') {
                        Some((role, name)) => pairs.push((role.to_owned(), name.to_owned())),
                        None => self.problem(column, said(item, wrong)),
                    }
                }
                pairs
            }
            Some(_) => {
                self.problem(column, "hier steht eine Liste von Objekten mit „role“ und „name“".to_owned());
                return Vec::new();
            }
        };
        let mut parties = Vec::with_capacity(pairs.len());
        for (role, name) in pairs {
            match (Line::new(&role), Line::new(&name)) {
                (Ok(role), Ok(name)) => parties.push((role, name)),
                (Err(error), _) | (_, Err(error)) => {
                    self.problem(column, said(&format!("{role}: {name}"), &error.to_string()));
                }
            }
        }
        parties
    }

    /// Index fields.
    pub(super) fn fields(&mut self, column: &'static str) -> BTreeMap<String, String> {
        let found = match self.cell(column) {
            None => return BTreeMap::new(),
            Some(Cell::Fields(fields)) => fields,
            Some(_) => {
                self.problem(
                    column,
                    "hier steht ein Objekt mit Texten (in CSV: Spalten „field.NAME“)".to_owned(),
                );
                return BTreeMap::new();
            }
        };
        let mut fields = BTreeMap::new();
        for (name, value) in found {
            match (Line::new(&name), Line::new(&value)) {
                (Ok(name), Ok(value)) => {
                    fields.insert(name.to_string(), value.to_string());
                }
                (Err(error), _) | (_, Err(error)) => {
                    self.problem(column, said(&format!("{name} = {value}"), &error.to_string()));
                }
            }
        }
        fields
    }

    /// What went wrong; cells that nobody took are unknown columns.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        for column in std::mem::take(&mut self.cells).into_keys() {
            let near = nearest(&column, self.columns.iter().copied()).unwrap_or_default();
            let detail =
                format!("gehört nicht zu einer Zeile der Art „{}“ (am ähnlichsten: „{near}“)", self.kind);
            self.problem(&source_name(&column), detail);
        }
        self.problems
    }
}

/// A sentence about a value, short and without control characters.
pub(super) fn said(value: &str, wrong: &str) -> String {
    const SHOWN: usize = 60;
    if wrong.contains('„') {
        return wrong.to_owned();
    }
    let mut shown: String = source_name(value).chars().take(SHOWN).collect();
    if value.chars().count() > SHOWN {
        shown.push('…');
    }
    format!("„{shown}“: {wrong}")
}
