//! The one analyser for indexing and for querying: text in, pieces with positions out.
//!
//! A word gives its exact (folded) form and, where it differs, its stem; both stand at the same position, and stems carry
//! a mark so that the two never mix. Runs such as `51.20-2024/17` or `Bau-Antrag` give their parts at successive
//! positions and the whole at the position of the first part. Bump [`VERSION`] when any output changes: an index
//! made by another version is thrown away and rebuilt.

use std::ops::Range;

use frostem::{Algorithm, Stemmer};
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use super::fold::{is_word_char, push_folded};

/// Version of everything this file and `fold` produce; part of the tokenizer's name in the schema.
pub(super) const VERSION: u32 = 1;
/// First character of a stem in the index; no exact form and no reference contains it.
pub(super) const STEM_MARK: char = '~';
/// Longest part kept, in folded bytes; the rest of a longer one is ignored, in text and query alike.
const MAX_PART_BYTES: usize = 64;
/// Most parts of one run (`a-b-c…`); a longer run is cut into several.
const MAX_PARTS: usize = 12;
/// Spaces and line breaks allowed between `§` and its number.
const MAX_SECTION_GAP: usize = 4;

/// Words that carry grammar, not content, sorted: they get no stem, and a query with other words ignores them.
const FUNCTION_WORDS: &[&str] = &[
    "aber", "als", "also", "am", "an", "auch", "auf", "aus", "bei", "bis", "da", "das", "dass", "dem", "den",
    "denen", "der", "deren", "des", "dessen", "die", "dies", "diese", "diesem", "diesen", "dieser", "dieses",
    "doch", "dort", "du", "durch", "ein", "eine", "einem", "einen", "einer", "eines", "er", "es", "etwa",
    "fuer", "gegen", "hat", "ihm", "ihn", "ihr", "ihre", "ihrem", "ihren", "ihrer", "im", "in", "ins", "ist",
    "je", "kann", "mit", "nach", "nicht", "noch", "nur", "ob", "oder", "ohne", "sein", "seine", "seinem",
    "seinen", "seiner", "sich", "sie", "sind", "so", "soweit", "sowie", "ueber", "um", "und", "unter", "vom",
    "von", "vor", "war", "was", "wenn", "wer", "werden", "wie", "wir", "wird", "zu", "zum", "zur",
    "zwischen",
];

/// Words that may follow a hyphen at a line's end without continuing the word before it: `Bau-⏎und Planungsrecht`.
const HANGING_HYPHEN: &[&str] =
    &["und", "oder", "sowie", "bzw", "als", "wie", "noch", "aber", "auch", "bis", "zum", "zur"];

/// Which form of the text a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A word or a part of a run as written, folded.
    Exact,
    /// Its stem, marked.
    Stem,
    /// A whole run: `51.20-2024/17`, `§34`, `bauantrag` for `Bau-Antrag`.
    Whole,
    /// The stem of a whole run of letters.
    WholeStem,
}

/// One entry of the index: `text` stands at `position` and was read from the bytes `range`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) form: Form,
    pub(super) position: usize,
    pub(super) range: Range<usize>,
}

/// True for a folded word without content of its own.
pub(super) fn is_function_word(folded: &str) -> bool {
    FUNCTION_WORDS.binary_search(&folded).is_ok()
}

/// All pieces of `text`, in order of position.
pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let mut scanner = Scanner::new(text);
    let mut all = Vec::new();
    while scanner.next_run(&mut all) {}
    all
}

struct Part {
    folded: String,
    range: Range<usize>,
    letters: bool,
}

/// Walks over a text run by run.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
    position: usize,
    stemmer: Stemmer,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, position: 0, stemmer: Stemmer::new(Algorithm::German) }
    }

    fn peek(&self, at: usize) -> Option<char> {
        self.text.get(at..)?.chars().next()
    }

    /// Appends the pieces of the next run; false at the end of the text.
    fn next_run(&mut self, out: &mut Vec<Piece>) -> bool {
        let mut section = None;
        if !self.skip_to_run(&mut section) {
            return false;
        }
        let mut parts: Vec<Part> = Vec::new();
        let mut connectors: Vec<char> = Vec::new();
        loop {
            let part = self.read_part();
            if !part.folded.is_empty() {
                parts.push(part);
            }
            if parts.len() >= MAX_PARTS {
                break;
            }
            let Some((connector, next)) = self.connector_at(self.at) else { break };
            if !parts.is_empty() && connectors.len() + 1 == parts.len() {
                connectors.push(connector);
            }
            self.at = next;
        }
        connectors.truncate(parts.len().saturating_sub(1));
        self.emit(section, &parts, &connectors, out);
        true
    }

    /// Moves to the next word character; false at the end. `section` becomes the place of the paragraph sign that
    /// belongs to it, if one does.
    fn skip_to_run(&mut self, section: &mut Option<usize>) -> bool {
        let mut gap = 0;
        loop {
            let Some(c) = self.peek(self.at) else { return false };
            if is_word_char(c) {
                *section = section.filter(|_| c.is_ascii_digit());
                return true;
            }
            if c == '§' {
                *section = section.or(Some(self.at));
                gap = 0;
            } else if !c.is_whitespace() || gap >= MAX_SECTION_GAP {
                *section = None;
            } else {
                gap += 1;
            }
            self.at += c.len_utf8();
        }
    }

    /// Reads one part, across soft hyphens and across a hyphen that only breaks the line.
    fn read_part(&mut self) -> Part {
        let start = self.at;
        let mut folded = String::new();
        let mut letters = true;
        let mut end = self.at;
        while let Some(c) = self.peek(self.at) {
            if is_word_char(c) {
                if folded.len() < MAX_PART_BYTES {
                    push_folded(c, &mut folded);
                }
                letters &= !c.is_numeric();
                self.at += c.len_utf8();
                end = self.at;
            } else if c == '\u{ad}' {
                let after = self.at + c.len_utf8();
                self.at = self.after_line_break(after).unwrap_or(after);
            } else if letters && is_hyphen(c) {
                let Some(next) = self.continuation(self.at + c.len_utf8()) else { break };
                self.at = next;
            } else {
                break;
            }
        }
        Part { folded, range: start..end, letters }
    }

    /// The start of the next line's first character, when only blanks and one line break stand before it.
    fn after_line_break(&self, mut at: usize) -> Option<usize> {
        let mut breaks = 0;
        while let Some(c) = self.peek(at) {
            match c {
                '\n' => breaks += 1,
                '\r' | ' ' | '\t' | '\u{a0}' => {}
                _ => return (breaks == 1).then_some(at),
            }
            if breaks > 1 {
                return None;
            }
            at += c.len_utf8();
        }
        None
    }

    /// Where a word goes on that was broken by a hyphen ending at `at`.
    fn continuation(&self, at: usize) -> Option<usize> {
        let next = self.after_line_break(at)?;
        let rest = &self.text[next..];
        if !rest.starts_with(char::is_lowercase) {
            return None;
        }
        let end = rest.find(|c: char| !is_word_char(c)).unwrap_or(rest.len());
        (!HANGING_HYPHEN.contains(&&rest[..end])).then_some(next)
    }

    /// A connector at `at` and the start of the part behind it.
    fn connector_at(&self, at: usize) -> Option<(char, usize)> {
        let c = self.peek(at)?;
        let after = at + c.len_utf8();
        let canonical = match c {
            _ if is_hyphen(c) => '-',
            '/' | '.' | '_' | '@' | '&' => c,
            ',' | ':' if self.text[..at].ends_with(|c: char| c.is_ascii_digit()) => c,
            _ => return None,
        };
        let next = self.peek(after)?;
        if is_word_char(next) {
            let digits_only = matches!(canonical, ',' | ':');
            return (!digits_only || next.is_ascii_digit()).then_some((canonical, after));
        }
        // A double name or a reference may break after its hyphen: `Müller-⏎Lüdenscheidt`.
        let line = (canonical == '-').then(|| self.after_line_break(after)).flatten()?;
        let first = self.peek(line)?;
        (first.is_uppercase() || first.is_ascii_digit()).then_some((canonical, line))
    }

    fn emit(&mut self, section: Option<usize>, parts: &[Part], connectors: &[char], out: &mut Vec<Piece>) {
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return };
        let position = self.position;
        if let Some(start) = section {
            let text = format!("§{}", first.folded);
            out.push(Piece { text, form: Form::Whole, position, range: start..first.range.end });
        }
        if parts.len() > 1 {
            self.emit_whole(parts, connectors, first.range.start..last.range.end, out);
        }
        for (offset, part) in parts.iter().enumerate() {
            let place = (position + offset, part.range.clone());
            if part.letters {
                self.emit_stem(&part.folded, Form::Stem, place.clone(), out);
            }
            out.push(Piece {
                text: part.folded.clone(),
                form: Form::Exact,
                position: place.0,
                range: place.1,
            });
        }
        self.position += parts.len();
    }

    fn emit_whole(&self, parts: &[Part], connectors: &[char], range: Range<usize>, out: &mut Vec<Piece>) {
        let position = self.position;
        let literal =
            parts.iter().any(|part| !part.letters) || connectors.iter().any(|c| matches!(c, '@' | '_' | '&'));
        let mut text = String::new();
        for (index, part) in parts.iter().enumerate() {
            if index > 0 && literal {
                text.extend(connectors.get(index - 1));
            }
            text.push_str(&part.folded);
        }
        let hyphens = connectors.iter().all(|c| *c == '-');
        let abbreviation =
            connectors.iter().all(|c| *c == '.') && parts.iter().all(|part| part.folded.len() <= 2);
        if literal || abbreviation {
            out.push(Piece { text, form: Form::Whole, position, range });
        } else if hyphens {
            self.emit_stem(&text, Form::WholeStem, (position, range.clone()), out);
            out.push(Piece { text, form: Form::Whole, position, range });
        }
    }

    fn emit_stem(
        &self,
        word: &str,
        form: Form,
        (position, range): (usize, Range<usize>),
        out: &mut Vec<Piece>,
    ) {
        if let Some(text) = marked_stem(&self.stemmer, word) {
            out.push(Piece { text, form, position, range });
        }
    }
}

/// The marked stem of a folded word, when it has one that differs from the word.
fn marked_stem(stemmer: &Stemmer, word: &str) -> Option<String> {
    if word.len() < 4 || is_function_word(word) {
        return None;
    }
    let stem = stemmer.stem(word);
    // Stems of one letter would tie unrelated words together.
    (stem.len() > 1 && stem != word).then(|| format!("{STEM_MARK}{stem}"))
}

/// The stem of a folded word, unmarked; the word itself when it has no other.
pub(super) fn stem(word: &str) -> String {
    marked_stem(&Stemmer::new(Algorithm::German), word)
        .map_or_else(|| word.to_owned(), |marked| marked.trim_start_matches(STEM_MARK).to_owned())
}

fn is_hyphen(c: char) -> bool {
    matches!(c, '-' | '\u{2010}' | '\u{2011}' | '¬')
}

/// The analyser as tantivy's indexer calls it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct GermanTokenizer;

/// The name under which the schema refers to the analyser, version included.
pub(super) fn tokenizer_name() -> String {
    format!("german_{VERSION}")
}

impl Tokenizer for GermanTokenizer {
    type TokenStream<'a> = GermanTokens<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> GermanTokens<'a> {
        GermanTokens { scanner: Scanner::new(text), run: Vec::new(), next: 0, token: Token::default() }
    }
}

/// Pieces as tantivy's tokens, a run at a time.
pub(super) struct GermanTokens<'a> {
    scanner: Scanner<'a>,
    run: Vec<Piece>,
    next: usize,
    token: Token,
}

impl TokenStream for GermanTokens<'_> {
    fn advance(&mut self) -> bool {
        while self.next >= self.run.len() {
            self.run.clear();
            self.next = 0;
            if !self.scanner.next_run(&mut self.run) {
                return false;
            }
        }
        let piece = &mut self.run[self.next];
        self.next += 1;
        self.token.offset_from = piece.range.start;
        self.token.offset_to = piece.range.end;
        self.token.position = piece.position;
        self.token.text = std::mem::take(&mut piece.text);
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> Vec<String> {
        pieces(text).into_iter().map(|piece| format!("{}:{}", piece.position, piece.text)).collect()
    }

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(shown(text), expected, "{text:?}");
    }

    #[test]
    fn function_words_are_sorted_for_the_binary_search() {
        assert!(FUNCTION_WORDS.is_sorted());
    }

    #[test]
    fn a_word_stands_beside_its_stem() {
        check("Die Behörden", &["0:die", "1:~behord", "1:behoerden"]);
        check("Antrag", &["0:antrag"]);
        check("Anträge", &["0:~antrag", "0:antraege"]);
    }

    #[test]
    fn file_references_are_kept_whole_and_in_parts() {
        check("51.20-2024/17.", &["0:51.20-2024/17", "0:51", "1:20", "2:2024", "3:17"]);
        check("0001-012-00345/2", &["0:0001-012-00345/2", "0:0001", "1:012", "2:00345", "3:2"]);
        check("12.03.2024", &["0:12.03.2024", "0:12", "1:03", "2:2024"]);
    }

    #[test]
    fn a_paragraph_sign_clings_to_its_number() {
        check("§ 34a BauGB", &["0:§34a", "0:34a", "1:baugb"]);
        check("§§ 24, 25", &["0:§24", "0:24", "1:25"]);
        check("§ und 5", &["0:und", "1:5"]);
    }

    #[test]
    fn words_broken_at_a_line_end_are_joined() {
        check("Geneh-\nmigung", &["0:~genehm", "0:genehmigung"]);
        check("Geneh\u{ad}\r\n  migung", &["0:~genehm", "0:genehmigung"]);
        check("Bau-\nund", &["0:bau", "1:und"]);
        check("Bau-\n\nund", &["0:bau", "1:und"]);
    }

    #[test]
    fn hyphenated_words_are_found_joined_and_in_parts() {
        check("Bau-Antrag", &["0:bauantrag", "0:bau", "1:antrag"]);
        check("z.B.", &["0:zb", "0:z", "1:b"]);
        check("Haus/Hof", &["0:haus", "1:hof"]);
    }

    #[test]
    fn inflected_forms_share_a_stem() {
        for (one, other) in [
            ("antrag", "antraege"),
            ("behoerde", "behoerden"),
            ("haus", "haeuser"),
            ("genehmigung", "genehmigungen"),
        ] {
            assert_eq!(stem(one), stem(other), "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_ranges_on_character_boundaries_and_rising_positions(text in "(\\PC|[-\n §./\u{ad}äß]){0,60}") {
            let mut last = 0;
            for piece in pieces(&text) {
                prop_assert!(text.get(piece.range.clone()).is_some_and(|read| !read.is_empty()));
                prop_assert!(!piece.text.is_empty() && piece.position >= last);
                last = piece.position;
            }
        }
    }
}
