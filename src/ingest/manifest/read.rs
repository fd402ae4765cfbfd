//! Reading the file: its encoding, its format, its rows.

use super::cells::{Cell, Cells, said};
use super::{At, MAX_BYTES, MAX_ROWS, Manifest, Problem, rows};
use crate::wording;
use jiff::tz::TimeZone;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a file is no manifest at all.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It cannot be read.
    #[error("Die Begleitliste {} ist nicht lesbar ({reason}).", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It is too long.
    #[error(
        "Die Begleitliste {} ist zu lang (höchstens {} MiB und {} Zeilen zusammen); bitte aufteilen.",
        path.display(), MAX_BYTES / 1024 / 1024, MAX_ROWS
    )]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// Its header says nothing known.
    #[error(
        "Aus den Spalten der Begleitliste {} geht nicht hervor, was sie beschreibt. Nötig ist eine Spalte „kind“ \
         oder die Spalten einer Art von Zeilen (docs/manifest.md).", path.display()
    )]
    NoKind {
        /// The file.
        path: PathBuf,
    },
}

/// Reads one file into the manifest.
pub(super) fn read_file(path: &Path, zone: &TimeZone, manifest: &mut Manifest) -> Result<(), ManifestError> {
    let unreadable = |error: &std::io::Error| ManifestError::Unreadable {
        path: path.to_owned(),
        reason: wording::os(error),
    };
    // Opening a pipe would wait for ever.
    let facts = std::fs::metadata(path).map_err(|error| unreadable(&error))?;
    if !facts.is_file() {
        let reason = if facts.is_dir() { "ist ein Ordner" } else { "ist keine Datei" }.to_owned();
        return Err(ManifestError::Unreadable { path: path.to_owned(), reason });
    }
    let mut bytes = Vec::new();
    let mut file = File::open(path).map_err(|error| unreadable(&error))?.take(MAX_BYTES + 1);
    file.read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(ManifestError::TooLong { path: path.to_owned() });
    }
    let (text, note) = decode(bytes);
    manifest.notes.extend(note.map(|note| format!("{}: {note}", path.display())));
    let file: Arc<Path> = path.into();
    let is_json = path.extension().is_some_and(|ending| {
        ["jsonl", "ndjson", "json"].iter().any(|known| ending.eq_ignore_ascii_case(known))
    });
    if is_json || text.trim_start().starts_with('{') {
        read_json(&text, &file, zone, manifest)
    } else {
        read_csv(&text, &file, zone, manifest)
    }
}

/// Bytes as text; what is not UTF-8 is taken to be Windows-1252, as Excel writes it, and that is said.
fn decode(bytes: Vec<u8>) -> (String, Option<&'static str>) {
    let wide = |bytes: &[u8], read: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| read([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes.as_slice() {
        [0xff, 0xfe, rest @ ..] => return (wide(rest, u16::from_le_bytes), Some("als UTF-16 gelesen")),
        [0xfe, 0xff, rest @ ..] => return (wide(rest, u16::from_be_bytes), Some("als UTF-16 gelesen")),
        _ => {}
    }
    match String::from_utf8(bytes) {
        Ok(text) => match text.strip_prefix('\u{feff}') {
            Some(rest) => (rest.to_owned(), None),
            None => (text, None),
        },
        Err(error) => {
            let text = error.as_bytes().iter().map(|byte| windows_1252(*byte)).collect();
            (text, Some("nicht UTF-8; als Windows-1252 gelesen, bitte Umlaute prüfen"))
        }
    }
}

fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
        '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => HIGH[usize::from(byte - 0x80)],
        other => char::from(other),
    }
}

fn room(manifest: &Manifest, file: &Path) -> Result<(), ManifestError> {
    if manifest.rows() < MAX_ROWS { Ok(()) } else { Err(ManifestError::TooLong { path: file.to_owned() }) }
}

fn read_json(
    text: &str,
    file: &Arc<Path>,
    zone: &TimeZone,
    manifest: &mut Manifest,
) -> Result<(), ManifestError> {
    for (line, text) in (1..).zip(text.lines()) {
        if text.trim().is_empty() {
            continue;
        }
        room(manifest, file)?;
        let at = At { file: file.clone(), line };
        let problem = |detail: String| Problem { at: at.clone(), column: None, detail };
        let object = match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(object)) => object,
            Ok(_) => {
                manifest.problems.push(problem("in jeder Zeile steht ein JSON-Objekt { … }".to_owned()));
                continue;
            }
            Err(error) => {
                manifest.problems.push(problem(wording::json_line(&error)));
                continue;
            }
        };
        let mut kind = String::new();
        let mut cells = Cells::new();
        for (name, value) in object {
            match (name.as_str(), value) {
                ("kind", Value::String(word)) => kind = word,
                (_, Value::Null) => {}
                (_, value) => {
                    let cell = cell(&value);
                    cells.insert(name, cell);
                }
            }
        }
        rows::add(manifest, at, &kind, cells, zone);
    }
    Ok(())
}

fn cell(value: &Value) -> Cell {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    };
    let party = |value: &Value| {
        let object = value.as_object().filter(|object| object.len() == 2)?;
        Some((object.get("role")?.as_str()?.to_owned(), object.get("name")?.as_str()?.to_owned()))
    };
    let found = match value {
        Value::Array(items) => {
            let texts: Option<Vec<String>> = items.iter().map(text).collect();
            let parties = || items.iter().map(party).collect::<Option<Vec<_>>>();
            texts.map(Cell::List).or_else(|| parties().map(Cell::Parties))
        }
        Value::Object(object) => {
            let fields: Option<BTreeMap<_, _>> =
                object.iter().map(|(name, value)| Some((name.clone(), text(value)?))).collect();
            fields.map(Cell::Fields)
        }
        single => text(single).map(Cell::Text),
    };
    found.unwrap_or_else(|| Cell::Strange(value.to_string()))
}

/// The separator that the header uses most; quoted text does not count.
fn separator(text: &str) -> u8 {
    let header = text.lines().next().unwrap_or_default();
    let mut counts = [(b';', 0), (b',', 0), (b'\t', 0)];
    let mut quoted = false;
    for byte in header.bytes() {
        quoted ^= byte == b'"';
        for (separator, count) in &mut counts {
            *count += usize::from(!quoted && byte == *separator);
        }
    }
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map_or(b';', |(separator, _)| separator)
}

fn read_csv(
    text: &str,
    file: &Arc<Path>,
    zone: &TimeZone,
    manifest: &mut Manifest,
) -> Result<(), ManifestError> {
    let mut reader =
        csv::ReaderBuilder::new().delimiter(separator(text)).flexible(true).from_reader(text.as_bytes());
    let no_kind = || ManifestError::NoKind { path: file.to_path_buf() };
    let header = reader.headers().map_err(|_| no_kind())?;
    let columns: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
    let all_kind = match columns.iter().position(|column| column == "kind") {
        Some(_) => None,
        None => Some(rows::kind_of(&columns).ok_or_else(no_kind)?),
    };
    let twice =
        columns.iter().enumerate().find(|(at, name)| !name.is_empty() && columns[..*at].contains(name));
    if let Some((_, name)) = twice {
        let at = At { file: file.clone(), line: 1 };
        let detail = "die Spalte steht zweimal in der Kopfzeile".to_owned();
        manifest.problems.push(Problem { at, column: Some(name.clone()), detail });
        return Ok(());
    }
    let mut lines = Lines { text, at: 0, line: 1 };
    for record in reader.records() {
        room(manifest, file)?;
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = lines.of(error.position());
                let detail = "die Zeile ist kein gültiges CSV (Anführungszeichen prüfen)".to_owned();
                manifest.problems.push(Problem { at: At { file: file.clone(), line }, column: None, detail });
                continue;
            }
        };
        let at = At { file: file.clone(), line: lines.of(record.position()) };
        add_record(&record, &columns, all_kind, at, zone, manifest);
    }
    Ok(())
}

/// Counts lines; the reader's own count lags behind by one where lines end as on Windows.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: u64,
}

impl Lines<'_> {
    fn of(&mut self, position: Option<&csv::Position>) -> u64 {
        let Some(byte) = position.and_then(|position| usize::try_from(position.byte()).ok()) else {
            return self.line;
        };
        let bytes = self.text.as_bytes();
        // A record begins after the line ends that the reader has not yet passed.
        let ends = bytes.iter().skip(byte).take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let start = (byte + ends).min(bytes.len()).max(self.at);
        let passed = self.text.get(self.at..start).map_or(0, |text| text.matches('\n').count());
        self.line += passed as u64;
        self.at = start;
        self.line
    }
}

fn add_record(
    record: &csv::StringRecord,
    columns: &[String],
    all_kind: Option<&'static str>,
    at: At,
    zone: &TimeZone,
    manifest: &mut Manifest,
) {
    let mut kind = all_kind.unwrap_or_default().to_owned();
    let (mut cells, mut fields) = (Cells::new(), BTreeMap::new());
    for (number, text) in record.iter().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        match columns.get(number).map(String::as_str) {
            None | Some("") => {
                let detail = said(
                    text,
                    "hat keine Spalte in der Kopfzeile (Trennzeichen im Text gehören in Anführungszeichen)",
                );
                manifest.problems.push(Problem {
                    at: at.clone(),
                    column: Some(format!("{}", number + 1)),
                    detail,
                });
                return;
            }
            Some("kind") => text.trim().clone_into(&mut kind),
            Some(column) => match column.strip_prefix("field.") {
                Some(name) => {
                    fields.insert(name.to_owned(), text.to_owned());
                }
                None => {
                    cells.insert(column.to_owned(), Cell::Text(text.to_owned()));
                }
            },
        }
    }
    if !fields.is_empty() {
        cells.insert("fields".to_owned(), Cell::Fields(fields));
    }
    if cells.is_empty() && kind == all_kind.unwrap_or_default() {
        return;
    }
    rows::add(manifest, at, &kind, cells, zone);
}
