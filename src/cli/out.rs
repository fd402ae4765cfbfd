//! Standard output: text for people or one JSON object a line. A reader that has gone away (`| head`) is no fault.

use super::failure::Failure;
use crate::wording;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, Write};

/// Where results go.
pub(super) struct Out {
    /// Whether programs read it.
    pub(super) json: bool,
    failed: Option<io::Error>,
}

impl Out {
    pub(super) fn new(json: bool) -> Self {
        Self { json, failed: None }
    }

    /// One line for people; nothing when programs read.
    pub(super) fn text(&mut self, line: impl Display) {
        if !self.json {
            self.write(&format!("{line}\n"));
        }
    }

    /// One object for programs; nothing when people read.
    pub(super) fn object(&mut self, row: &impl Serialize) {
        if self.json {
            match serde_json::to_string(row) {
                Ok(text) => self.write(&format!("{text}\n")),
                Err(error) => self.failed = Some(error.into()),
            }
        }
    }

    fn write(&mut self, text: &str) {
        if self.failed.is_none()
            && let Err(error) = io::stdout().lock().write_all(text.as_bytes())
        {
            self.failed = Some(error);
        }
    }

    /// Whether nobody reads any more.
    pub(super) fn is_closed(&self) -> bool {
        self.failed.is_some()
    }

    /// Says at the end whether everything could be written.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        let failed = self.failed.take().or_else(|| io::stdout().lock().flush().err());
        match failed {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::unavailable(format!(
                "Die Ausgabe konnte nicht geschrieben werden ({}).",
                wording::os(&error)
            ))),
            _ => Ok(()),
        }
    }
}

/// A line for the person at the terminal, beside the results.
pub(super) fn hint(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A number of bytes for people.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["Byte", "KB", "MB", "GB", "TB"];
    let (mut whole, mut tenths, mut unit) = (bytes, 0, 0);
    while whole >= 1_000 && unit + 1 < UNITS.len() {
        tenths = whole % 1_000 / 100;
        whole /= 1_000;
        unit += 1;
    }
    if unit == 0 || whole >= 100 {
        format!("{} {}", number(whole), UNITS[unit])
    } else {
        format!("{whole},{tenths} {}", UNITS[unit])
    }
}

/// Seconds for people.
pub(super) fn lasting(seconds: f64) -> String {
    format!("{seconds:.1} s").replace('.', ",")
}

/// An instant for people, where the tenant is: `24.11.2026 14:05`.
pub(super) fn moment(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%d.%m.%Y %H:%M").to_string()
}

/// A day for people: `24.11.2026`.
pub(super) fn day(day: Date) -> String {
    day.strftime("%d.%m.%Y").to_string()
}

/// A number with points between thousands.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('.');
        }
        text.push(digit);
    }
    text
}

/// A number with its noun.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { many })
}

/// Rows in columns; the last column may be as long as it likes.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut lines = Vec::with_capacity(rows.len());
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        lines.push(cells.join("  ").trim_end().to_owned());
    }
    lines.join("\n")
}

/// A text without anything that could steer a terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_numbers_are_written_for_people() {
        for (bytes, text) in [
            (0, "0 Byte"),
            (999, "999 Byte"),
            (1_500, "1,5 KB"),
            (200_000, "200 KB"),
            (2_147_483_648, "2,1 GB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        for (value, text) in [(0, "0"), (999, "999"), (1_000, "1.000"), (1_234_567, "1.234.567")] {
            assert_eq!(number(value), text);
        }
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let at = |text: &str| moment(text.parse().unwrap(), &berlin);
        assert_eq!(at("2026-11-24T13:05:59Z"), "24.11.2026 14:05");
        assert_eq!(at("2026-06-30T22:30:00Z"), "01.07.2026 00:30");
        assert_eq!(day(jiff::civil::date(2024, 3, 1)), "01.03.2024");
        assert_eq!(counted(1, "Datei", "Dateien"), "1 Datei");
        assert_eq!(table(&[vec!["a".into(), "b".into()], vec!["äöü".into(), "c".into()]]), "a    b\näöü  c");
        assert_eq!(plain("a\u{1b}[31m"), "a\u{fffd}[31m");
    }
}
