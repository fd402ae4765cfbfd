//! Path templates: which case file the path of a file means.
//!
//! `{plan}/{reference}/{name}` reads `60.10/60.10-2024_17/Antrag.pdf` as: plan unit `60.10`, reference
//! `60.10-2024_17` (that is `60.10-2024/17`, see [`reference_spellings`]), document `Antrag`.

use crate::domain::text::nearest as nearest_word;
use jiff::civil::Date;
use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::str::FromStr;

/// What a path says about a file. Everything is text as it stands in the path, except days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filing {
    /// Code of the plan unit.
    pub plan_unit: Option<String>,
    /// Code of the unit.
    pub unit: Option<String>,
    /// Aktenzeichen, in the spelling of the path.
    pub reference: Option<String>,
    /// Betreff of the case file.
    pub title: Option<String>,
    /// Year in which the case file begins.
    pub year: Option<i16>,
    /// Datum des Schreibens.
    pub document_date: Option<Date>,
    /// Dokumenttyp.
    pub document_type: Option<String>,
    /// What the document is called; its ending is still there.
    pub name: Option<String>,
}

/// A path template, such as `{plan}/{reference}/{name}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate {
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// `**`: any number of folders, also none.
    Folders,
    Parts(Vec<Part>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// `*`: any text within one folder or file name, also none.
    Any,
    Field(Field),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Field {
    Plan,
    Unit,
    Reference,
    Title,
    Year,
    Date,
    Type,
    Name,
}

impl Field {
    const ALL: [Self; 8] = [
        Self::Plan,
        Self::Unit,
        Self::Reference,
        Self::Title,
        Self::Year,
        Self::Date,
        Self::Type,
        Self::Name,
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Unit => "unit",
            Self::Reference => "reference",
            Self::Title => "title",
            Self::Year => "year",
            Self::Date => "date",
            Self::Type => "type",
            Self::Name => "name",
        }
    }
}

/// A template that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPathTemplate {
    /// Nothing in it, or nothing between two slashes.
    #[error("die Vorlage ist leer oder hat einen leeren Ordnernamen")]
    Empty,
    /// Begins with a slash or goes upwards: paths are relative to the folder that is taken in.
    #[error("die Vorlage ist relativ zum Quellordner: ohne „/“ am Anfang und ohne „..“")]
    NotRelative,
    /// A brace without its partner.
    #[error("Klammer ohne Gegenstück")]
    Brace,
    /// `{…}` with an unknown word.
    #[error("„{{{word}}}“ ist kein Platzhalter (möglich: {}; am ähnlichsten: {{{nearest}}})", known())]
    Unknown {
        /// The word.
        word: String,
        /// The known one most like it.
        nearest: &'static str,
    },
    /// The same placeholder twice.
    #[error("der Platzhalter {{{0}}} kommt zweimal vor")]
    Twice(&'static str),
    /// Nothing says where one ends and the next begins.
    #[error("zwischen zwei Platzhaltern muss ein Trennzeichen stehen")]
    NotSeparated,
    /// `**` beside other characters.
    #[error("„**“ steht allein zwischen zwei Schrägstrichen und nicht am Ende")]
    Folders,
    /// `{name}` is the file's name.
    #[error("{{name}} meint den Dateinamen und gehört in den letzten Abschnitt")]
    NameNotLast,
}

fn known() -> String {
    Field::ALL.map(|field| format!("{{{}}}", field.word())).join(", ")
}

impl FromStr for PathTemplate {
    type Err = InvalidPathTemplate;

    fn from_str(text: &str) -> Result<Self, InvalidPathTemplate> {
        if text.starts_with('/') {
            return Err(InvalidPathTemplate::NotRelative);
        }
        let mut seen = BTreeSet::new();
        let mut segments = Vec::new();
        for segment in text.split('/') {
            segments.push(match segment {
                "" => return Err(InvalidPathTemplate::Empty),
                "." | ".." => return Err(InvalidPathTemplate::NotRelative),
                "**" => Segment::Folders,
                _ => Segment::Parts(parts(segment, &mut seen)?),
            });
        }
        let names_file = |segment: &Segment| match segment {
            Segment::Folders => false,
            Segment::Parts(parts) => parts.contains(&Part::Field(Field::Name)),
        };
        if segments.last() == Some(&Segment::Folders) {
            return Err(InvalidPathTemplate::Folders);
        }
        if segments.iter().rev().skip(1).any(names_file) {
            return Err(InvalidPathTemplate::NameNotLast);
        }
        Ok(Self { segments })
    }
}

fn parts(segment: &str, seen: &mut BTreeSet<Field>) -> Result<Vec<Part>, InvalidPathTemplate> {
    let mut parts = Vec::new();
    let mut rest = segment;
    while !rest.is_empty() {
        let special = rest.find(['{', '}', '*']).unwrap_or(rest.len());
        if special > 0 {
            parts.push(Part::Text(rest[..special].to_owned()));
            rest = &rest[special..];
            continue;
        }
        if let Some(tail) = rest.strip_prefix('*') {
            if tail.starts_with('*') {
                return Err(InvalidPathTemplate::Folders);
            }
            parts.push(Part::Any);
            rest = tail;
            continue;
        }
        let close = rest.find('}').filter(|_| rest.starts_with('{')).ok_or(InvalidPathTemplate::Brace)?;
        let word = &rest[1..close];
        let field = Field::ALL.into_iter().find(|field| field.word() == word).ok_or_else(|| {
            let nearest = nearest_word(word, Field::ALL.iter().map(|field| field.word())).unwrap_or("name");
            InvalidPathTemplate::Unknown { word: word.to_owned(), nearest }
        })?;
        if !seen.insert(field) {
            return Err(InvalidPathTemplate::Twice(field.word()));
        }
        parts.push(Part::Field(field));
        rest = &rest[close + 1..];
    }
    let touching = parts.windows(2).any(|pair| !pair.iter().any(|part| matches!(part, Part::Text(_))));
    if touching { Err(InvalidPathTemplate::NotSeparated) } else { Ok(parts) }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, segment) in self.segments.iter().enumerate() {
            if number > 0 {
                f.write_str("/")?;
            }
            let Segment::Parts(parts) = segment else {
                f.write_str("**")?;
                continue;
            };
            for part in parts {
                match part {
                    Part::Text(text) => f.write_str(text)?,
                    Part::Any => f.write_str("*")?,
                    Part::Field(field) => write!(f, "{{{}}}", field.word())?,
                }
            }
        }
        Ok(())
    }
}

/// Most steps of a match, so that a strange name cannot make a template slow.
const STEPS: usize = 20_000;

impl PathTemplate {
    /// Whether the template can say in which case file a document belongs.
    pub fn names_case_file(&self) -> bool {
        self.has(Field::Reference) || self.opens_case_files()
    }

    /// Whether the template says enough to open a case file: its place in the file plan and its title.
    pub fn opens_case_files(&self) -> bool {
        self.has(Field::Plan) && self.has(Field::Title)
    }

    fn has(&self, field: Field) -> bool {
        self.segments.iter().any(|segment| match segment {
            Segment::Folders => false,
            Segment::Parts(parts) => parts.contains(&Part::Field(field)),
        })
    }

    /// Reads a path relative to the source, separated by `/`. `None` when it does not fit.
    pub fn read(&self, relative: &str) -> Option<Filing> {
        let folders: Vec<&str> = relative.split('/').collect();
        let mut filing = Filing::default();
        let mut steps = STEPS;
        walk(&self.segments, &folders, &mut filing, &mut steps).then_some(filing)
    }
}

fn walk(segments: &[Segment], folders: &[&str], filing: &mut Filing, steps: &mut usize) -> bool {
    match segments.split_first() {
        None => folders.is_empty(),
        Some((Segment::Folders, rest)) => {
            (0..=folders.len()).any(|skipped| walk(rest, &folders[skipped..], filing, steps))
        }
        Some((Segment::Parts(parts), rest)) => {
            let Some((first, others)) = folders.split_first() else { return false };
            let before = filing.clone();
            if fit(parts, first, filing, steps) && walk(rest, others, filing, steps) {
                return true;
            }
            *filing = before;
            false
        }
    }
}

/// Fits one name; a field takes as little as it can, so that separators count from the left.
fn fit(parts: &[Part], name: &str, filing: &mut Filing, steps: &mut usize) -> bool {
    if *steps == 0 {
        return false;
    }
    *steps -= 1;
    let Some((first, rest)) = parts.split_first() else { return name.is_empty() };
    match first {
        Part::Text(text) => {
            name.strip_prefix(text.as_str()).is_some_and(|tail| fit(rest, tail, filing, steps))
        }
        Part::Any => ends(name).any(|end| fit(rest, &name[end..], filing, steps)),
        Part::Field(field) => ends(name).filter(|end| *end > 0).any(|end| {
            let before = filing.clone();
            let good = take(*field, &name[..end], filing) && fit(rest, &name[end..], filing, steps);
            if !good {
                *filing = before;
            }
            good
        }),
    }
}

/// Every place where a piece of the name can end.
fn ends(name: &str) -> impl Iterator<Item = usize> {
    name.char_indices().map(|(at, _)| at).chain([name.len()])
}

fn take(field: Field, text: &str, filing: &mut Filing) -> bool {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return false;
    }
    let owned = || Some(trimmed.to_owned());
    match field {
        Field::Plan => filing.plan_unit = owned(),
        Field::Unit => filing.unit = owned(),
        Field::Reference => filing.reference = owned(),
        Field::Title => filing.title = owned(),
        Field::Type => filing.document_type = owned(),
        Field::Name => filing.name = Some(text.to_owned()),
        Field::Year => match text.parse() {
            Ok(year @ 1500..=2999) if text.len() == 4 => filing.year = Some(year),
            _ => return false,
        },
        Field::Date => match day(text) {
            Some(day) => filing.document_date = Some(day),
            None => return false,
        },
    }
    true
}

/// A day as people write it: `2024-03-01`, `01.03.2024` or `20240301`.
pub fn day(text: &str) -> Option<Date> {
    let number =
        |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<i16>().ok()).flatten();
    let short = |text: &str| number(text).and_then(|number| i8::try_from(number).ok());
    let (year, month, day) = match text.len() {
        _ if !text.is_ascii() => return None,
        10 if text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-' => {
            (&text[..4], &text[5..7], &text[8..])
        }
        8 if text.bytes().all(|b| b.is_ascii_digit()) => (&text[..4], &text[4..6], &text[6..]),
        _ => {
            let mut pieces = text.split('.');
            let (day, month, year) = (pieces.next()?, pieces.next()?, pieces.next()?);
            if pieces.next().is_some() || year.len() != 4 || day.len() > 2 || month.len() > 2 {
                return None;
            }
            (year, month, day)
        }
    };
    Date::new(number(year)?, short(month)?, short(day)?).ok()
}

/// The references that a name in a path may mean, the likeliest first. File names cannot hold `/`, so:
///
/// 1. the name as it is;
/// 2. with `%XX` read as the character of that code, which can spell anything (`%2F` is `/`, `%25` is `%`);
/// 3. with `_` read as `/`: all of them, then one after the other.
pub fn reference_spellings(name: &str) -> Vec<String> {
    let mut spellings = vec![name.to_owned()];
    spellings.extend(unescape(name));
    let places: Vec<usize> = name.match_indices('_').map(|(at, _)| at).collect();
    if !places.is_empty() {
        spellings.push(name.replace('_', "/"));
        if places.len() > 1 {
            for at in places.into_iter().take(8) {
                spellings.push(format!("{}/{}", &name[..at], &name[at + 1..]));
            }
        }
    }
    let mut seen = BTreeSet::new();
    spellings.retain(|spelling| seen.insert(spelling.clone()));
    spellings
}

/// The name under which a reference is put into a path, to be read back by [`reference_spellings`].
pub fn reference_name(reference: &str) -> String {
    let mut name = String::with_capacity(reference.len());
    for c in reference.chars() {
        match c {
            '/' if !reference.contains('_') => name.push('_'),
            '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' | '%' => {
                let _ = write!(name, "%{:02X}", u32::from(c));
            }
            _ => name.push(c),
        }
    }
    name
}

fn unescape(name: &str) -> Option<String> {
    if !name.contains('%') {
        return None;
    }
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            let code = std::str::from_utf8(tail.get(..2)?).ok().filter(|code| code.is_ascii())?;
            bytes.push(u8::from_str_radix(code, 16).ok().filter(|byte| *byte >= 0x20)?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn read(template: &str, path: &str) -> Option<Filing> {
        template.parse::<PathTemplate>().unwrap().read(path)
    }

    #[test]
    fn a_path_says_where_a_document_belongs() {
        let filing = read("{plan}/{reference}/{name}", "60.10/60.10-2024_17/Antrag.pdf").unwrap();
        assert_eq!(filing.plan_unit.as_deref(), Some("60.10"));
        assert_eq!(filing.reference.as_deref(), Some("60.10-2024_17"));
        assert_eq!(filing.name.as_deref(), Some("Antrag.pdf"));

        let filing = read(
            "{unit} */**/{year}/{title} ({type})/{date}_{name}",
            "60 Bauen/a/b/2019/Carport (Bescheid)/2019-04-01_Schreiben 1.pdf",
        )
        .unwrap();
        assert_eq!(filing.unit.as_deref(), Some("60"));
        assert_eq!(filing.year, Some(2019));
        assert_eq!(filing.title.as_deref(), Some("Carport"));
        assert_eq!(filing.document_type.as_deref(), Some("Bescheid"));
        assert_eq!(filing.document_date, Some(date(2019, 4, 1)));
        assert_eq!(filing.name.as_deref(), Some("Schreiben 1.pdf"));

        assert!(read("**/{reference}/*", "60.10-2024_17/x.pdf").is_some());
        assert!(read("**/{reference}/*", "a/b/60.10-2024_17/x.pdf").is_some());
    }

    #[test]
    fn a_path_that_does_not_fit_says_nothing() {
        for (template, path) in [
            ("{plan}/{name}", "x.pdf"),
            ("{plan}/{name}", "a/b/x.pdf"),
            ("{year}/{name}", "24/x.pdf"),
            ("{date}_{name}", "2024-13-01_x.pdf"),
            ("akten/{name}", "Akten/x.pdf"),
            ("{plan}-{year}/{name}", "-2024/x.pdf"),
            ("{reference}/{name}", " /x.pdf"),
        ] {
            assert_eq!(read(template, path), None, "{template} {path}");
        }
        let nasty = "a-".repeat(500);
        assert_eq!(read("{plan}-{unit}-{title}-{reference}-*!/{name}", &format!("{nasty}/x")), None);
    }

    #[test]
    fn a_template_that_cannot_work_is_refused() {
        for (template, error) in [
            ("", InvalidPathTemplate::Empty),
            ("a//b", InvalidPathTemplate::Empty),
            ("/a/{name}", InvalidPathTemplate::NotRelative),
            ("../{name}", InvalidPathTemplate::NotRelative),
            ("{plan", InvalidPathTemplate::Brace),
            ("plan}", InvalidPathTemplate::Brace),
            ("{refrence}", InvalidPathTemplate::Unknown { word: "refrence".into(), nearest: "reference" }),
            ("{plan}/{plan}", InvalidPathTemplate::Twice("plan")),
            ("{plan}{year}", InvalidPathTemplate::NotSeparated),
            ("{plan}*", InvalidPathTemplate::NotSeparated),
            ("a**/{name}", InvalidPathTemplate::Folders),
            ("{plan}/**", InvalidPathTemplate::Folders),
            ("{name}/{plan}", InvalidPathTemplate::NameNotLast),
        ] {
            assert_eq!(template.parse::<PathTemplate>(), Err(error), "{template}");
        }
        for good in ["{plan}/{reference}/{name}", "**/*", "a b/{date}_{name}", "*"] {
            assert_eq!(good.parse::<PathTemplate>().unwrap().to_string(), good);
        }
    }

    #[test]
    fn every_reference_has_a_name_that_means_it() {
        for reference in ["60.10-2024/17", "III/4 b", "a_b/c", "100%", "A:1?", "ä/ö"] {
            let name = reference_name(reference);
            assert!(!name.contains('/'), "{name}");
            assert!(reference_spellings(&name).contains(&reference.to_owned()), "{reference} {name}");
        }
        assert_eq!(reference_spellings("a_b"), ["a_b", "a/b"]);
        assert_eq!(reference_spellings("a_b_c"), ["a_b_c", "a/b/c", "a/b_c", "a_b/c"]);
    }

    #[test]
    fn days_are_read_as_people_write_them() {
        for text in ["2024-03-01", "01.03.2024", "1.3.2024", "20240301"] {
            assert_eq!(day(text), Some(date(2024, 3, 1)), "{text}");
        }
        for text in ["", "2024-3-1", "31.02.2024", "1.3.24", "2024/03/01", "+024-03-01", "1.3.2024.5"] {
            assert_eq!(day(text), None, "{text}");
        }
    }
}
