//! From what was typed to what is looked up: each term becomes a scored query and a way to mark it in a text.

use tantivy::query::{
    AutomatonWeight, BooleanQuery, BoostQuery, ConstScoreQuery, EmptyQuery, EnableScoring, Occur,
    PhraseQuery, Query, TermQuery, Weight,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Score, Searcher, Term};
use tantivy_fst::Automaton;

use super::analysis::{Form, Piece, STEM_MARK, is_function_word, pieces, stem};
use super::parse::{Clause, QueryTerm, TermKind};

/// Weight of another form of the word beside the form typed.
const STEM_WEIGHT: Score = 0.6;
/// Weight of a reference's parts in a row beside the whole reference.
const PARTS_WEIGHT: Score = 0.8;
/// A beginning with at most this many words is ranked word by word; beyond, all its hits weigh the same.
const MAX_RANKED_EXPANSIONS: usize = 48;
/// Shortest beginning looked up, in characters.
const MIN_PREFIX_CHARS: usize = 2;

/// How to recognise a term in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Any of these entries.
    Entries(Vec<String>),
    /// Entries that begin like this.
    Beginning(String),
    /// Exact forms at these distances from the first.
    Row(Vec<(usize, String)>),
}

/// A term ready to be looked up.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) query: Box<dyn Query>,
    pub(super) marks: Vec<Mark>,
    /// Upper bound of the entries it matches.
    pub(super) entries: u64,
    /// Words without content may be left out of a longer query.
    pub(super) function_word: bool,
}

/// A clause ready to be looked up.
#[derive(Debug)]
pub(super) struct ClausePlan {
    pub(super) looks: Vec<Look>,
}

impl ClausePlan {
    pub(super) fn entries(&self) -> u64 {
        self.looks.iter().map(|look| look.entries).sum()
    }

    pub(super) fn is_function_words(&self) -> bool {
        self.looks.iter().all(|look| look.function_word)
    }
}

/// Turns typed terms into lookups against one state of the index.
pub(super) struct Planner<'a> {
    pub(super) searcher: &'a Searcher,
    pub(super) field: Field,
    entries: f32,
    pub(super) notes: Vec<String>,
}

impl<'a> Planner<'a> {
    pub(super) fn new(searcher: &'a Searcher, field: Field) -> Self {
        let entries: u64 =
            searcher.segment_readers().iter().map(|segment| u64::from(segment.max_doc())).sum();
        #[expect(clippy::cast_precision_loss, reason = "a statistic")]
        let entries = entries as f32;
        Self { searcher, field, entries, notes: Vec::new() }
    }

    /// The clause's lookups; none when nothing in it can be looked up. `split` also takes the parts of runs apart.
    pub(super) fn clause(&mut self, clause: &Clause, split: bool) -> tantivy::Result<Option<ClausePlan>> {
        let mut looks = Vec::new();
        for term in &clause.alternatives {
            looks.extend(self.term(term, split)?);
        }
        Ok((!looks.is_empty()).then_some(ClausePlan { looks }))
    }

    fn term(&mut self, term: &QueryTerm, split: bool) -> tantivy::Result<Option<Look>> {
        let found = pieces(&term.text);
        if !found.iter().any(|piece| piece.form == Form::Exact) {
            if term.text.chars().any(|c| !c.is_ascii_punctuation()) {
                self.notes.push(format!("„{}“ enthält kein suchbares Wort.", shortened(&term.text)));
            }
            return Ok(None);
        }
        match term.kind {
            TermKind::Word => self.word(&found, split).map(Some),
            TermKind::Phrase => self.row(&found).map(Some),
            TermKind::Prefix => self.prefix(&term.text, &found).map(Some),
        }
    }

    fn word(&self, found: &[Piece], split: bool) -> tantivy::Result<Look> {
        let parts: Vec<&Piece> = of_form(found, Form::Exact);
        let wholes: Vec<&Piece> = of_form(found, Form::Whole);
        if let ([part], []) = (parts.as_slice(), wholes.as_slice()) {
            let mut look = self.forms(&part.text)?;
            look.function_word = is_function_word(&part.text);
            return Ok(look);
        }
        let mut looks = Vec::new();
        for whole in &wholes {
            let letters = found.iter().any(|piece| piece.form == Form::WholeStem)
                || whole.text.chars().all(char::is_alphabetic);
            looks.push(if letters {
                self.forms(&whole.text)?
            } else {
                self.entries_of(&[(whole.text.clone(), 1.0)])?
            });
        }
        if parts.len() > 1 {
            let mut row = self.row(found)?;
            row.query = Box::new(BoostQuery::new(row.query, PARTS_WEIGHT));
            looks.push(row);
        }
        if split || looks.is_empty() {
            for part in parts {
                if !is_function_word(&part.text) {
                    looks.push(self.forms(&part.text)?);
                }
            }
        }
        Ok(joined(looks))
    }

    /// A word in the form typed and in its other forms.
    fn forms(&self, word: &str) -> tantivy::Result<Look> {
        let stem = stem(word);
        let mut forms = vec![(word.to_owned(), 1.0), (format!("{STEM_MARK}{stem}"), STEM_WEIGHT)];
        if stem != word {
            // A text that uses the bare stem has it as a word, unmarked.
            forms.push((stem, STEM_WEIGHT));
        }
        self.entries_of(&forms)
    }

    /// Any of the index entries. All count as equally rare, so that a rare inflection never outranks the form typed.
    fn entries_of(&self, forms: &[(String, Score)]) -> tantivy::Result<Look> {
        let mut known = Vec::new();
        let mut total = 0;
        for (text, weight) in forms {
            let term = Term::from_field_text(self.field, text);
            let frequency = self.searcher.doc_freq(&term)?;
            if frequency > 0 {
                total += frequency;
                known.push((term, frequency, *weight));
            }
        }
        let shared = self.rarity(total);
        let mut queries: Vec<Box<dyn Query>> = known
            .into_iter()
            .map(|(term, frequency, weight)| -> Box<dyn Query> {
                let boost = weight * shared / self.rarity(frequency);
                Box::new(BoostQuery::new(Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs)), boost))
            })
            .collect();
        let query: Box<dyn Query> = match queries.len() {
            0 => Box::new(EmptyQuery),
            1 => queries.remove(0),
            _ => Box::new(BooleanQuery::union(queries)),
        };
        let marks = vec![Mark::Entries(forms.iter().map(|(text, _)| text.clone()).collect())];
        Ok(Look { query, marks, entries: total, function_word: false })
    }

    /// BM25's weight of an entry found in `frequency` places.
    fn rarity(&self, frequency: u64) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "a statistic")]
        let frequency = (frequency as f32).min(self.entries);
        (1.0 + (self.entries - frequency + 0.5) / (frequency + 0.5)).ln().max(f32::MIN_POSITIVE)
    }

    /// Exact forms in a row.
    fn row(&self, found: &[Piece]) -> tantivy::Result<Look> {
        let parts = of_form(found, Form::Exact);
        let first = parts.first().map_or(0, |part| part.position);
        let row: Vec<(usize, String)> =
            parts.iter().map(|part| (part.position - first, part.text.clone())).collect();
        let mut terms = Vec::new();
        let mut entries = u64::MAX;
        for (offset, text) in &row {
            let term = Term::from_field_text(self.field, text);
            entries = entries.min(self.searcher.doc_freq(&term)?);
            terms.push((*offset, term));
        }
        let query: Box<dyn Query> = if entries == 0 {
            Box::new(EmptyQuery)
        } else if terms.len() == 1 {
            Box::new(TermQuery::new(terms.remove(0).1, IndexRecordOption::WithFreqs))
        } else {
            Box::new(PhraseQuery::new_with_offset(terms))
        };
        Ok(Look { query, marks: vec![Mark::Row(row)], entries, function_word: false })
    }

    /// Words, or references, that begin like this.
    fn prefix(&mut self, typed: &str, found: &[Piece]) -> tantivy::Result<Look> {
        let parts = of_form(found, Form::Exact);
        let wholes = of_form(found, Form::Whole);
        let Some(beginning) = wholes.first().or(parts.first()).map(|piece| piece.text.clone()) else {
            return self.row(found);
        };
        if parts.len() > 1 && wholes.is_empty() {
            self.notes.push(format!("„{}*“ wurde als Wortfolge gesucht.", shortened(typed)));
            return self.row(found);
        }
        if beginning.chars().count() < MIN_PREFIX_CHARS {
            self.notes.push(format!("Vor * müssen mindestens {MIN_PREFIX_CHARS} Zeichen stehen."));
            return self.forms(&beginning);
        }
        let mark = Mark::Beginning(beginning.clone());
        let mut look = match self.expansions(&beginning)? {
            Some(words) => {
                let forms: Vec<_> = words.into_iter().map(|word| (word, 1.0)).collect();
                self.entries_of(&forms)?
            }
            None => Look {
                query: Box::new(ConstScoreQuery::new(
                    Box::new(Beginning { field: self.field, text: beginning }),
                    1.0,
                )),
                marks: Vec::new(),
                entries: u64::MAX / 64,
                function_word: false,
            },
        };
        look.marks = vec![mark];
        Ok(look)
    }

    /// The index entries that begin like this; none when there are too many to rank one by one.
    fn expansions(&self, beginning: &str) -> tantivy::Result<Option<Vec<String>>> {
        let mut words = Vec::new();
        for segment in self.searcher.segment_readers() {
            let index = segment.inverted_index(self.field)?;
            let mut stream = index.terms().search(StartsWith(beginning.to_owned())).into_stream()?;
            while stream.advance() {
                if let Ok(word) = std::str::from_utf8(stream.key()) {
                    words.push(word.to_owned());
                }
                if words.len() > MAX_RANKED_EXPANSIONS * self.searcher.segment_readers().len() {
                    return Ok(None);
                }
            }
        }
        words.sort_unstable();
        words.dedup();
        Ok((words.len() <= MAX_RANKED_EXPANSIONS).then_some(words))
    }
}

/// All entries that begin with `text`, unranked.
#[derive(Clone, Debug)]
struct Beginning {
    field: Field,
    text: String,
}

/// An automaton that owns its text, as a weight must.
struct StartsWith(String);

impl Automaton for StartsWith {
    type State = Option<usize>;

    fn start(&self) -> Self::State {
        Some(0)
    }

    fn is_match(&self, state: &Self::State) -> bool {
        *state == Some(self.0.len())
    }

    fn can_match(&self, state: &Self::State) -> bool {
        state.is_some()
    }

    fn will_always_match(&self, state: &Self::State) -> bool {
        *state == Some(self.0.len())
    }

    fn accept(&self, state: &Self::State, byte: u8) -> Self::State {
        match *state {
            Some(done) if done == self.0.len() => Some(done),
            Some(done) if self.0.as_bytes().get(done) == Some(&byte) => Some(done + 1),
            _ => None,
        }
    }
}

impl Query for Beginning {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(AutomatonWeight::new(self.field, StartsWith(self.text.clone()))))
    }
}

fn of_form(found: &[Piece], form: Form) -> Vec<&Piece> {
    found.iter().filter(|piece| piece.form == form).collect()
}

/// One lookup for several ways to the same thing.
fn joined(mut looks: Vec<Look>) -> Look {
    if looks.len() == 1 {
        return looks.remove(0);
    }
    let entries = looks.iter().map(|look| look.entries).sum();
    let marks = looks.iter().flat_map(|look| look.marks.clone()).collect();
    let queries = looks.into_iter().map(|look| (Occur::Should, look.query)).collect();
    Look { query: Box::new(BooleanQuery::new(queries)), marks, entries, function_word: false }
}

fn shortened(text: &str) -> String {
    let end = text.char_indices().nth(40).map_or(text.len(), |(at, _)| at);
    if end < text.len() { format!("{}…", &text[..end]) } else { text.to_owned() }
}
