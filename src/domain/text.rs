//! Text that people typed: bounded, without control characters.

use std::fmt;

/// One line of text as people type it: trimmed, 1 to `MAX` characters, no control characters.
///
/// Names from files are not lines (they may hold anything); see [`source_name`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Line(String);

/// Why a text is no [`Line`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Nothing but blanks.
    #[error("Text fehlt")]
    Empty,
    /// Longer than [`Line::MAX`] characters.
    #[error("Text ist länger als {} Zeichen", Line::MAX)]
    TooLong,
    /// Holds a line break or another control character.
    #[error("Text enthält ein Steuerzeichen")]
    Control,
}

impl Line {
    /// Longest line, in characters.
    pub const MAX: usize = 1_000;

    /// Takes a text as it was typed.
    ///
    /// # Errors
    /// [`LineError`] when it is empty, too long or holds control characters.
    pub fn new(text: &str) -> Result<Self, LineError> {
        let text = text.trim();
        if text.is_empty() {
            Err(LineError::Empty)
        } else if text.chars().count() > Self::MAX {
            Err(LineError::TooLong)
        } else if text.chars().any(char::is_control) {
            Err(LineError::Control)
        } else {
            Ok(Self(text.to_owned()))
        }
    }

    /// A stored text as a line again, whatever rules it was stored under.
    pub(super) fn shown(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Line {
    type Err = LineError;
    fn from_str(text: &str) -> Result<Self, LineError> {
        Self::new(text)
    }
}

super::ids::serde_as_text!(Line);

/// The name a file came with, made safe to show and to store: control characters become `␤`-like marks,
/// and what is longer than 1,000 characters is cut in the middle. Never used as a path.
pub fn source_name(raw: &str) -> String {
    const MAX: usize = 1_000;
    let shown: Vec<char> = raw
        .chars()
        .map(|c| match c {
            '\0'..='\u{1f}' => char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}'),
            '\u{7f}' => '\u{2421}',
            '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            other => other,
        })
        .collect();
    if shown.len() <= MAX {
        return if shown.is_empty() { "ohne Namen".to_owned() } else { shown.into_iter().collect() };
    }
    let (head, tail) = (&shown[..MAX / 2], &shown[shown.len() - (MAX / 2 - 1)..]);
    head.iter().chain(std::iter::once(&'…')).chain(tail).collect()
}

/// The word of a list that looks most like the one given: for whoever mistyped it.
pub fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known.into_iter().min_by_key(|candidate| distance(wanted, candidate))
}

/// Edit distance (Levenshtein): letters added, dropped or replaced.
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_trimmed_and_bounded() {
        assert_eq!(Line::new("  Carport ").unwrap().as_str(), "Carport");
        assert_eq!(Line::new(" \t"), Err(LineError::Empty));
        assert_eq!(Line::new("a\nb"), Err(LineError::Control));
        assert_eq!(Line::new(&"ä".repeat(1_001)), Err(LineError::TooLong));
        assert!(Line::new(&"ä".repeat(1_000)).is_ok());
    }

    #[test]
    fn the_nearest_word_needs_the_fewest_changes() {
        for (a, b, count) in [("", "", 0), ("", "ab", 2), ("kitten", "sitting", 3), ("ä", "a", 1)] {
            assert_eq!(distance(a, b), count, "{a} {b}");
        }
        assert_eq!(nearest("refrence", ["plan", "reference"]), Some("reference"));
        assert_eq!(nearest("x", []), None);
    }

    #[test]
    fn a_source_name_keeps_what_can_be_shown() {
        assert_eq!(source_name("Bescheid.pdf"), "Bescheid.pdf");
        assert_eq!(source_name("a\nb\u{202e}fdp.exe"), "a␊b\u{fffd}fdp.exe");
        assert_eq!(source_name(""), "ohne Namen");
        assert_eq!(source_name(&"x".repeat(10_000)).chars().count(), 1_000);
    }
}
