//! File references (Aktenzeichen): made from a template and a gapless number, or taken over as they are.

use super::text::{Line, LineError};
use std::{
    fmt::{self, Write as _},
    str::FromStr,
};

/// Aktenzeichen: a case file's reference as it is written on paper, such as `60.10-2024/17`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileReference(String);

/// A text that cannot be a file reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    /// Empty, or with control characters.
    #[error("Aktenzeichen: {0}")]
    Line(#[from] LineError),
    /// Longer than [`FileReference::MAX`].
    #[error("Aktenzeichen ist länger als {} Zeichen", FileReference::MAX)]
    TooLong,
}

impl FileReference {
    /// Longest reference, in characters.
    pub const MAX: usize = 120;

    /// The reference as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FileReference {
    type Err = InvalidReference;
    /// Runs of blanks become one blank; nothing else changes, for imported references stay valid.
    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let line = Line::new(text)?;
        let joined = line.as_str().split_whitespace().collect::<Vec<_>>().join(" ");
        if joined.chars().count() > Self::MAX { Err(InvalidReference::TooLong) } else { Ok(Self(joined)) }
    }
}

impl fmt::Display for FileReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a tenant makes file references: text with `{plan}`, `{year}` and `{seq}` (`{seq:4}` pads with zeros).
///
/// The number counts anew for every plan unit, and for every year if the template names the year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Plan,
    Year,
    Seq(usize),
}

/// A template that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// `{…}` with an unknown word.
    #[error("„{{{0}}}“ ist kein Platzhalter (möglich: {{plan}}, {{year}}, {{seq}}, {{seq:4}})")]
    Unknown(String),
    /// A brace without its partner.
    #[error("Klammer ohne Gegenstück")]
    Brace,
    /// References would not be unique.
    #[error("die Vorlage braucht genau ein {{seq}} und ein {{plan}}")]
    NotUnique,
    /// Digits of plan and number would run into one another.
    #[error("zwischen zwei Platzhaltern muss ein Trennzeichen stehen")]
    NotSeparated,
}

impl Template {
    /// Whether numbers count anew every year.
    fn counts_by_year(&self) -> bool {
        self.parts.contains(&Part::Year)
    }

    /// The scope of the plan unit's counter that a case file of this year draws from.
    pub fn scope(&self, year: i16) -> String {
        if self.counts_by_year() { format!("reference/{year}") } else { "reference".to_owned() }
    }

    /// The reference with this plan code, year and number.
    pub fn render(&self, plan: &str, year: i16, seq: u64) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(fixed) => text.push_str(fixed),
                Part::Plan => text.push_str(plan),
                Part::Year => text.push_str(&year.to_string()),
                Part::Seq(width) => {
                    let _ = write!(text, "{seq:0width$}");
                }
            }
        }
        text
    }

    /// Reads year and number of a reference that this template could have made for the plan code. Imported
    /// references of the tenant's own style move the counter past themselves with it.
    pub fn parse(&self, plan: &str, reference: &str) -> Option<(Option<i16>, u64)> {
        let (mut rest, mut year, mut seq) = (reference, None, None);
        for part in &self.parts {
            match part {
                Part::Text(fixed) => rest = rest.strip_prefix(fixed.as_str())?,
                Part::Plan => rest = rest.strip_prefix(plan)?,
                Part::Year => {
                    let (digits, tail) = split_digits(rest);
                    year = Some(digits.parse().ok()?);
                    rest = tail;
                }
                Part::Seq(_) => {
                    let (digits, tail) = split_digits(rest);
                    seq = Some(digits.parse().ok()?);
                    rest = tail;
                }
            }
        }
        if rest.is_empty() { Some((year, seq?)) } else { None }
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

impl FromStr for Template {
    type Err = InvalidTemplate;
    fn from_str(text: &str) -> Result<Self, InvalidTemplate> {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let open = rest.find(['{', '}']).unwrap_or(rest.len());
            if open > 0 {
                parts.push(Part::Text(rest[..open].to_owned()));
                rest = &rest[open..];
                continue;
            }
            let close = rest.find('}').filter(|_| rest.starts_with('{')).ok_or(InvalidTemplate::Brace)?;
            let word = &rest[1..close];
            rest = &rest[close + 1..];
            let width = word.strip_prefix("seq:").and_then(|width| width.parse().ok());
            parts.push(match (word, width) {
                ("plan", _) => Part::Plan,
                ("year", _) => Part::Year,
                ("seq", _) => Part::Seq(0),
                (_, Some(width @ 1..=9)) => Part::Seq(width),
                _ => return Err(InvalidTemplate::Unknown(word.to_owned())),
            });
        }
        let count = |wanted: fn(&Part) -> bool| parts.iter().filter(|part| wanted(part)).count();
        if count(|part| matches!(part, Part::Seq(_))) != 1 || count(|part| *part == Part::Plan) != 1 {
            return Err(InvalidTemplate::NotUnique);
        }
        let touching = parts.windows(2).any(|pair| !pair.iter().any(|part| matches!(part, Part::Text(_))));
        if touching { Err(InvalidTemplate::NotSeparated) } else { Ok(Self { parts }) }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Text(fixed) => f.write_str(fixed),
            Part::Plan => f.write_str("{plan}"),
            Part::Year => f.write_str("{year}"),
            Part::Seq(0) => f.write_str("{seq}"),
            Part::Seq(width) => write!(f, "{{seq:{width}}}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_makes_references_and_reads_them_back() {
        for (template, made) in [
            ("{plan}-{year}/{seq}", "60.10-2024/17"),
            ("{plan}-{seq:4}/{year}", "60.10-0017/2024"),
            ("Az. {plan} Nr. {seq}", "Az. 60.10 Nr. 17"),
        ] {
            let parsed: Template = template.parse().unwrap();
            assert_eq!(parsed.to_string(), template);
            assert_eq!(parsed.render("60.10", 2024, 17), made);
            let (year, seq) = parsed.parse("60.10", made).unwrap();
            assert_eq!(seq, 17);
            assert!(year.is_none_or(|year| year == 2024));
            assert_eq!(parsed.parse("60.10", "III/4 b 17"), None);
        }
    }

    #[test]
    fn a_template_that_would_repeat_references_is_refused() {
        for (template, error) in [
            ("{plan}", InvalidTemplate::NotUnique),
            ("{seq}/{year}", InvalidTemplate::NotUnique),
            ("{plan}{seq}", InvalidTemplate::NotSeparated),
            ("{plan}-{nr}", InvalidTemplate::Unknown("nr".into())),
            ("{plan}-{seq", InvalidTemplate::Brace),
        ] {
            assert_eq!(template.parse::<Template>(), Err(error), "{template}");
        }
    }

    #[test]
    fn an_imported_reference_keeps_its_spelling() {
        let reference: FileReference = " III/4  b-17 ".parse().unwrap();
        assert_eq!(reference.as_str(), "III/4 b-17");
        assert!("".parse::<FileReference>().is_err());
    }
}
