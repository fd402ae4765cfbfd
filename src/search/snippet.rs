//! The passage of a text that shows why it was found.

use std::collections::HashMap;
use std::ops::Range;

use super::analysis::{Form, Piece, pieces};
use super::plan::Mark;

/// Length aimed at, in bytes of the text.
const TARGET_BYTES: usize = 220;
/// Most matches looked at in one text.
const MAX_MATCHES: usize = 1_000;

/// A passage in plain text, with what was searched for marked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snippet {
    /// One line of plain text: escape it before putting it into a page.
    pub text: String,
    /// Byte ranges within `text`, in order and apart from each other.
    pub marks: Vec<Range<usize>>,
}

struct Match {
    range: Range<usize>,
    mark: usize,
}

/// The best passage of `text`; its beginning when nothing is marked.
pub(super) fn snippet(text: &str, marks: &[Mark]) -> Snippet {
    let matches = matches(text, marks);
    let (window, inside) = window(text, &matches);
    let mut snippet = Snippet::default();
    if window.start > 0 {
        snippet.text.push_str("… ");
    }
    copy(text, &window, &matches[inside], &mut snippet);
    if window.end < text.trim_end().len() {
        snippet.text.push_str(" …");
    }
    snippet
}

/// The facts in which something is marked, each with its name, as `Betreff: Anbau · Akte: Lindenweg 4`; the first
/// one when nothing is.
pub(super) fn facts_snippet<'f>(facts: impl Iterator<Item = (&'f str, &'f str)>, marks: &[Mark]) -> Snippet {
    let mut all = Snippet::default();
    let mut first = None;
    for (name, value) in facts {
        let found = snippet(value, marks);
        if found.marks.is_empty() {
            first.get_or_insert((name, found));
        } else if all.text.len() < TARGET_BYTES {
            append(&mut all, name, found);
        }
    }
    if let (true, Some((name, found))) = (all.text.is_empty(), first) {
        append(&mut all, name, found);
    }
    all
}

fn append(all: &mut Snippet, name: &str, found: Snippet) {
    if !all.text.is_empty() {
        all.text.push_str(" · ");
    }
    all.text.push_str(name);
    all.text.push_str(": ");
    let shift = all.text.len();
    all.text.push_str(&found.text);
    all.marks.extend(found.marks.into_iter().map(|mark| mark.start + shift..mark.end + shift));
}

/// What is marked in the text, in its order.
fn matches<'m>(text: &str, marks: &'m [Mark]) -> Vec<Match> {
    let pieces = pieces(text);
    let mut entries: HashMap<&str, usize> = HashMap::new();
    for (number, mark) in marks.iter().enumerate() {
        if let Mark::Entries(texts) = mark {
            for text in texts {
                entries.entry(text).or_insert(number);
            }
        }
    }
    let beginning = |(number, mark): (usize, &'m Mark)| match mark {
        Mark::Beginning(beginning) => Some((number, beginning.as_str())),
        _ => None,
    };
    let beginnings: Vec<(usize, &str)> = marks.iter().enumerate().filter_map(beginning).collect();
    let mut found = Vec::new();
    for piece in &pieces {
        let begins =
            || beginnings.iter().find(|(_, start)| piece.text.starts_with(start)).map(|(number, _)| *number);
        if let Some(mark) = entries.get(piece.text.as_str()).copied().or_else(begins) {
            found.push(Match { range: piece.range.clone(), mark });
        }
    }
    let words: Vec<&Piece> = pieces.iter().filter(|piece| piece.form == Form::Exact).collect();
    for (mark, row) in marks.iter().enumerate() {
        if let Mark::Row(row) = row {
            rows(&words, row, mark, &mut found);
        }
    }
    found.sort_by_key(|found| (found.range.start, found.range.end));
    found.truncate(MAX_MATCHES);
    found
}

/// Every place where the row stands, as one match each.
fn rows(words: &[&Piece], row: &[(usize, String)], mark: usize, found: &mut Vec<Match>) {
    for window in words.windows(row.len().max(1)) {
        let (Some(first), Some(last)) = (window.first(), window.last()) else { continue };
        let stands = window
            .iter()
            .zip(row)
            .all(|(word, (offset, text))| word.text == *text && word.position - first.position == *offset);
        if stands {
            found.push(Match { range: first.range.start..last.range.end, mark });
        }
    }
}

/// The passage with the most different marks, and which matches lie in it.
fn window(text: &str, matches: &[Match]) -> (Range<usize>, Range<usize>) {
    let mut best = (0, 0..0);
    let mut end = 0;
    for start in 0..matches.len() {
        end = end.max(start + 1);
        while matches.get(end).is_some_and(|next| next.range.end <= matches[start].range.start + TARGET_BYTES)
        {
            end += 1;
        }
        let inside = &matches[start..end];
        let different =
            (0..inside.len()).filter(|at| inside[..*at].iter().all(|m| m.mark != inside[*at].mark)).count();
        let value = different * 100 + inside.len().min(99);
        if value > best.0 {
            best = (value, start..end);
        }
        if end - start > 40 {
            // A text full of matches needs no further search.
            break;
        }
    }
    let inside = best.1;
    let span = match matches.get(inside.clone()).and_then(|found| Some((found.first()?, found))) {
        Some((first, found)) => first.range.start..found.iter().map(|m| m.range.end).max().unwrap_or(0),
        None => 0..0,
    };
    let around = TARGET_BYTES.saturating_sub(span.len());
    let start = word_start(text, span.start.saturating_sub(around / 3), span.start);
    let end = word_end(text, span.end.max((start + TARGET_BYTES).min(text.len())), span.end);
    (start..end, inside)
}

/// The first word boundary from `at` on, not beyond `limit`.
fn word_start(text: &str, at: usize, limit: usize) -> usize {
    let at = text.floor_char_boundary(at);
    if at == 0 {
        return 0;
    }
    text[at..limit].find(char::is_whitespace).map_or(limit, |space| {
        let rest = &text[at + space..limit];
        limit - rest.trim_start().len()
    })
}

/// The last word boundary up to `at`, not before `limit`.
fn word_end(text: &str, at: usize, limit: usize) -> usize {
    let at = text.floor_char_boundary(at).max(limit);
    if at >= text.trim_end().len() {
        return text.trim_end().len().max(limit);
    }
    text[limit..at]
        .rfind(char::is_whitespace)
        .map_or(at, |space| limit + text[limit..limit + space].trim_end().len())
}

/// Copies the window on one line and carries the marks over.
fn copy(text: &str, window: &Range<usize>, matches: &[Match], out: &mut Snippet) {
    let mut matches = matches.iter().peekable();
    let mut marked: Option<(usize, usize)> = None;
    let mut space = false;
    for (offset, c) in text[window.clone()].char_indices() {
        let at = window.start + offset;
        if let Some((start, end)) = marked
            && at >= end
        {
            out.marks.push(start..out.text.len());
            marked = None;
        }
        if c.is_whitespace() || c.is_control() {
            space = true;
            continue;
        }
        if c == '\u{ad}' {
            continue;
        }
        if space && !out.text.is_empty() && !out.text.ends_with(' ') {
            out.text.push(' ');
        }
        space = false;
        while let Some(next) = matches.next_if(|next| next.range.start <= at) {
            if next.range.end > at {
                let (start, end) = marked.unwrap_or((out.text.len(), 0));
                marked = Some((start, end.max(next.range.end)));
            }
        }
        out.text.push(c);
    }
    if let Some((start, _)) = marked {
        out.marks.push(start..out.text.len());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(words: &[&str]) -> Vec<Mark> {
        words.iter().map(|word| Mark::Entries(vec![(*word).to_owned()])).collect()
    }

    fn marked(snippet: &Snippet) -> Vec<&str> {
        snippet.marks.iter().map(|range| &snippet.text[range.clone()]).collect()
    }

    #[test]
    fn marks_lie_on_the_words_beside_umlauts_and_emoji() {
        let text = "Grüße 🏛️ aus Köln:\n der Bürger\u{308}meister  öffnet die Tür 🚪 für Müller.";
        let snippet = snippet(text, &words(&["koeln", "tuer", "mueller"]));
        assert_eq!(marked(&snippet), ["Köln", "Tür", "Müller"]);
        assert!(!snippet.text.contains(['\n', '…']), "{}", snippet.text);
    }

    #[test]
    fn the_passage_with_most_different_words_is_chosen() {
        let filler = "Lorem ipsum dolor sit amet. ".repeat(20);
        let text = format!("Zaun Zaun Zaun. {filler} Der Zaun am Garten der Nachbarin. {filler}");
        let snippet = snippet(&text, &words(&["zaun", "garten"]));
        assert_eq!(marked(&snippet), ["Zaun", "Garten"]);
        assert!(snippet.text.starts_with("… ") && snippet.text.ends_with(" …"), "{}", snippet.text);
        assert!(snippet.text.len() < 300);
    }

    #[test]
    fn a_phrase_is_marked_as_a_whole_and_only_where_it_stands() {
        let row = vec![Mark::Row(vec![(0, "der".to_owned()), (1, "zaun".to_owned())])];
        let snippet = snippet("Zaun der Stadt, der\nZaun dort", &row);
        assert_eq!(marked(&snippet), ["der Zaun"]);
    }

    #[test]
    fn facts_are_named_and_only_those_that_match_are_shown() {
        let facts = [("Betreff", "Anbau der Akte"), ("Datei", "scan.pdf"), ("Akte", "Lindenweg 4, Anbau")];
        let found = facts_snippet(facts.into_iter(), &words(&["anbau", "akte"]));
        assert_eq!(found.text, "Betreff: Anbau der Akte · Akte: Lindenweg 4, Anbau");
        assert_eq!(marked(&found), ["Anbau", "Akte", "Anbau"], "names are not marked");
        assert_eq!(facts_snippet(facts.into_iter(), &[]).text, "Betreff: Anbau der Akte");
        assert_eq!(facts_snippet(std::iter::empty(), &[]), Snippet::default());
    }

    #[test]
    fn a_text_without_a_match_shows_its_beginning() {
        assert_eq!(
            snippet("Ein kurzer Text", &[]),
            Snippet { text: "Ein kurzer Text".to_owned(), marks: vec![] }
        );
        assert_eq!(snippet("", &words(&["x"])), Snippet::default());
    }

    proptest! {
        #[test]
        fn ranges_are_always_valid_and_apart(text in "(\\PC|[\n äab🏛-]|ab ){0,200}", word in "[ab]{1,2}") {
            let snippet = snippet(&text, &[Mark::Beginning(word)]);
            let mut last = 0;
            for range in &snippet.marks {
                prop_assert!(snippet.text.get(range.clone()).is_some() && range.start >= last && !range.is_empty());
                last = range.end;
            }
        }
    }
}
