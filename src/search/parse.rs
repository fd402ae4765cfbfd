//! What a person types, taken apart. There are no errors: what makes no sense is read as plain words, with a note.
//!
//! Words are joined by AND; `ODER`/`OR` between two words makes alternatives; `-word` or `NICHT word` excludes;
//! `"…"` is a phrase; `word*` a beginning.

/// Longest query read, in characters.
const MAX_CHARS: usize = 2_000;
/// Most clauses read.
const MAX_CLAUSES: usize = 32;

/// How a term is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TermKind {
    /// A word, number or reference.
    Word,
    /// Words in this order.
    Phrase,
    /// The beginning of a word or reference.
    Prefix,
}

/// One thing to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct QueryTerm {
    pub(super) kind: TermKind,
    pub(super) text: String,
}

/// Alternatives of which one must match, or none when excluded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clause {
    pub(super) excluded: bool,
    pub(super) alternatives: Vec<QueryTerm>,
}

/// A query taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) clauses: Vec<Clause>,
    /// `*` alone: everything.
    pub(super) everything: bool,
    /// In German, for the person who typed.
    pub(super) notes: Vec<String>,
}

#[derive(Debug)]
enum Lexeme {
    Or,
    Not,
    Term { excluded: bool, term: QueryTerm },
}

/// Takes a query apart.
pub(super) fn parse(input: &str) -> Parsed {
    let mut parsed = Parsed::default();
    let cut = input.char_indices().nth(MAX_CHARS).map_or(input.len(), |(at, _)| at);
    if cut < input.len() {
        parsed.notes.push(format!("Die Suche ist zu lang; gelesen wurden die ersten {MAX_CHARS} Zeichen."));
    }
    let lexemes = lex(&input[..cut], &mut parsed);
    let mut or = false;
    let mut not = false;
    for lexeme in lexemes {
        match lexeme {
            Lexeme::Or => or = true,
            Lexeme::Not => not = true,
            Lexeme::Term { excluded, term } => {
                let excluded = excluded || not;
                let full = parsed.clauses.len() >= MAX_CLAUSES;
                match parsed.clauses.last_mut() {
                    Some(last) if or && !excluded && !last.excluded => last.alternatives.push(term),
                    _ if !full => {
                        parsed.clauses.push(Clause { excluded, alternatives: vec![term] });
                    }
                    _ => {
                        parsed.notes.push(format!("Gelesen wurden die ersten {MAX_CLAUSES} Suchwörter."));
                        break;
                    }
                }
                (or, not) = (false, false);
            }
        }
    }
    parsed
}

fn lex(input: &str, parsed: &mut Parsed) -> Vec<Lexeme> {
    let mut lexemes = Vec::new();
    let mut rest = input.trim_start();
    while let Some(first) = rest.chars().next() {
        let mut excluded = false;
        let mut start = rest;
        if first == '-' || first == '−' {
            let after = &rest[first.len_utf8()..];
            excluded = after.starts_with(|c: char| c.is_alphanumeric() || c == '§' || closing(c).is_some());
            if excluded {
                start = after;
            }
        }
        rest = match start.chars().next().and_then(|open| Some((open, closing(open)?))) {
            Some((open, close)) => {
                lex_phrase(&start[open.len_utf8()..], close, excluded, parsed, &mut lexemes)
            }
            None => lex_word(start, excluded, parsed, &mut lexemes),
        }
        .trim_start();
    }
    lexemes
}

/// The characters that close a phrase opened by `open`.
fn closing(open: char) -> Option<&'static [char]> {
    match open {
        '"' => Some(&['"']),
        '„' => Some(&['“', '”', '"']),
        '“' => Some(&['”', '“', '"']),
        '”' => Some(&['”', '"']),
        '»' => Some(&['«']),
        '«' => Some(&['»']),
        _ => None,
    }
}

fn lex_phrase<'a>(
    body: &'a str,
    close: &[char],
    excluded: bool,
    parsed: &mut Parsed,
    lexemes: &mut Vec<Lexeme>,
) -> &'a str {
    let Some(end) = body.find(close) else {
        parsed
            .notes
            .push("Das Anführungszeichen wird nicht geschlossen; gesucht wurde nach den Wörtern.".to_owned());
        return body;
    };
    if !body[..end].trim().is_empty() {
        let term = QueryTerm { kind: TermKind::Phrase, text: body[..end].to_owned() };
        lexemes.push(Lexeme::Term { excluded, term });
    }
    // What stands there is one of the closing characters.
    let mut after = body[end..].chars();
    after.next();
    after.as_str()
}

fn lex_word<'a>(start: &'a str, excluded: bool, parsed: &mut Parsed, lexemes: &mut Vec<Lexeme>) -> &'a str {
    let mut end = word_end(start);
    if start[..end].chars().all(|c| c == '§') {
        // The paragraph sign belongs to the number behind it.
        let number = start[end..].trim_start();
        if number.starts_with(|c: char| c.is_ascii_digit()) {
            end = start.len() - number.len() + word_end(number);
        }
    }
    let (word, rest) = start.split_at(end.max(start.chars().next().map_or(0, char::len_utf8)));
    match word {
        "AND" | "UND" | "&" | "&&" | "+" => {}
        "OR" | "ODER" | "|" | "||" => lexemes.push(Lexeme::Or),
        "NOT" | "NICHT" => lexemes.push(Lexeme::Not),
        "*" => parsed.everything = true,
        _ => {
            let trimmed = word.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']']);
            let prefix = trimmed.ends_with('*');
            let text = trimmed.trim_matches('*').to_owned();
            if text.contains('*') || trimmed.starts_with('*') {
                parsed.notes.push("Der Platzhalter * gilt nur am Ende eines Wortes.".to_owned());
            }
            let kind = if prefix { TermKind::Prefix } else { TermKind::Word };
            lexemes.push(Lexeme::Term { excluded, term: QueryTerm { kind, text } });
        }
    }
    rest
}

/// The end of the word at the start of `text`: blanks and opening quotation marks end it.
fn word_end(text: &str) -> usize {
    text.find(|c: char| c.is_whitespace() || closing(c).is_some()).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(input: &str) -> String {
        let clauses = parse(input).clauses.into_iter().map(|clause| {
            let shown = |term: &QueryTerm| match term.kind {
                TermKind::Word => term.text.clone(),
                TermKind::Phrase => format!("\"{}\"", term.text),
                TermKind::Prefix => format!("{}*", term.text),
            };
            let alternatives: Vec<_> = clause.alternatives.iter().map(shown).collect();
            let sign = if clause.excluded { "-" } else { "" };
            format!("{sign}{}", alternatives.join("|"))
        });
        clauses.collect::<Vec<_>>().join(" ")
    }

    fn check(input: &str, expected: &str) {
        assert_eq!(shown(input), expected, "{input:?}");
    }

    #[test]
    fn words_phrases_prefixes_exclusions_and_alternatives_are_told_apart() {
        check("Bauantrag Müller", "Bauantrag Müller");
        check("\"auf Antrag\" Genehm* -alt", "\"auf Antrag\" Genehm* -alt");
        check("„auf Antrag“ »zu Fuß«", "\"auf Antrag\" \"zu Fuß\"");
        check("Hof ODER Garten Zaun", "Hof|Garten Zaun");
        check("Zaun NICHT Garten", "Zaun -Garten");
        check("-\"alte Fassung\" Zaun", "-\"alte Fassung\" Zaun");
    }

    #[test]
    fn a_paragraph_sign_takes_its_number_along() {
        check("§ 34 BBauG", "§ 34 BBauG");
        assert_eq!(parse("§ 34 BBauG").clauses.len(), 2);
        assert_eq!(parse("§").clauses.len(), 1);
    }

    #[test]
    fn half_finished_input_is_read_as_words_with_a_note() {
        check("\"auf Antrag", "auf Antrag");
        assert_eq!(parse("\"auf Antrag").notes.len(), 1);
        check("ODER", "");
        check("NICHT", "");
        check("Haus ODER", "Haus");
        check("- -- \"\"", "- --");
        assert!(parse("*").everything);
        assert_eq!(parse("*haus").notes.len(), 1);
    }

    proptest! {
        #[test]
        fn nothing_typed_makes_it_panic(input in "(\\PC|[\"„“*§ -]){0,80}") {
            prop_assert!(parse(&input).clauses.len() <= MAX_CLAUSES);
        }
    }
}
