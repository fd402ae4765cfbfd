//! Searching: from what a person types to a page of hits.

use std::collections::BTreeSet;

use jiff::civil::Date;
use tantivy::query::{AllQuery, BooleanQuery, EnableScoring, Query as TantivyQuery, TermQuery, Weight};
use tantivy::schema::{IndexRecordOption, Value};
use tantivy::{DocAddress, Searcher, TantivyDocument, Term};
use uuid::Uuid;

use super::entry::{Record, day_number};
use super::evaluate::{Found, Weights, evaluate, page_numbers};
use super::index::{IndexError, SearchIndex};
use super::parse::{Parsed, parse};
use super::plan::{ClausePlan, Mark, Planner};
use super::snippet::{Snippet, facts_snippet, snippet};

/// Deepest hit that can be asked for.
const MAX_DEPTH: usize = 10_000;

const NOTE_NOTHING: &str = "Bitte ein Suchwort eingeben.";
const NOTE_RELAXED: &str =
    "Kein Dokument enthält alle Suchwörter; gezeigt wird, was einen Teil davon enthält, das Beste zuerst.";
const NOTE_ONLY_EXCLUDED: &str = "Die Suche schließt nur aus; gezeigt werden alle übrigen Dokumente.";

/// What the person searching may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visible {
    /// Everything.
    All,
    /// Documents with one of these labels.
    Labels(BTreeSet<String>),
}

/// Restrictions beside the words; empty ones restrict nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only in this case file.
    pub case_file_id: Option<Uuid>,
    /// Only of one of these units.
    pub units: BTreeSet<String>,
    /// Only of one of these kinds.
    pub kinds: BTreeSet<String>,
    /// Dated on or after this day; leaves out documents without a date.
    pub from: Option<Date>,
    /// Dated on or before this day; leaves out documents without a date.
    pub to: Option<Date>,
}

impl Filter {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn day_numbers(&self) -> Option<(u64, u64)> {
        (self.from.is_some() || self.to.is_some())
            .then(|| (self.from.map_or(1, day_number).max(1), self.to.map_or(u64::MAX, day_number)))
    }
}

/// A search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// As typed.
    pub text: String,
    /// Whose eyes.
    pub visible: Visible,
    /// Further restrictions.
    pub filter: Filter,
    /// Most hits returned.
    pub limit: usize,
    /// Hits left out at the beginning.
    pub offset: usize,
    /// Whether hits come with a snippet.
    pub snippets: bool,
}

impl Query {
    /// The first ten hits with snippets.
    pub fn new(text: impl Into<String>, visible: Visible) -> Self {
        Self { text: text.into(), visible, filter: Filter::default(), limit: 10, offset: 0, snippets: true }
    }
}

/// A found document.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The document.
    pub document_id: Uuid,
    /// The page that matches best, counted from 1; none when it is the metadata that matches.
    pub page: Option<u32>,
    /// How well it matches; comparable within one search only.
    pub score: f32,
    /// Pages on which one of the words stands.
    pub pages_matched: u32,
    /// Passage of that page, or of the metadata.
    pub snippet: Option<Snippet>,
    /// Akte: its case file.
    pub case_file_id: Option<Uuid>,
    /// Aktenzeichen.
    pub file_reference: Option<String>,
    /// Betreff.
    pub title: Option<String>,
    /// The file's name at arrival.
    pub source_name: String,
    /// Dokumenttyp.
    pub kind: Option<String>,
    /// Organisationseinheit.
    pub unit: Option<String>,
    /// The document's own date.
    pub date: Option<Date>,
}

/// A page of hits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results {
    /// Visible documents that match.
    pub total: usize,
    /// Best first.
    pub hits: Vec<Hit>,
    /// How the search was understood, in German, for the person who typed it.
    pub notes: Vec<String>,
}

/// Documents in their order, and how to mark the words in them.
type Ranked = (Vec<Found>, Vec<Mark>);

/// A query planned against one state of the index.
struct Plan {
    required: Vec<ClausePlan>,
    excluded: Vec<ClausePlan>,
}

impl SearchIndex {
    /// Searches what is committed. Whatever is typed gives a result or a note.
    ///
    /// # Errors
    ///
    /// [`IndexError`] only when the index cannot be read.
    pub fn search(&self, query: &Query) -> Result<Results, IndexError> {
        let searcher = self.reader.searcher();
        let parsed = parse(&query.text);
        let mut results = self.search_in(&searcher, query, &parsed).map_err(IndexError::Read)?;
        let mut seen = BTreeSet::new();
        results.1.notes.retain(|note| seen.insert(note.clone()));
        let (found, marks, mut page) = (results.0.0, results.0.1, results.1);
        for found in found.iter().skip(query.offset).take(query.limit) {
            page.hits.push(self.hit(&searcher, found, query.snippets.then_some(marks.as_slice()))?);
        }
        Ok(page)
    }

    fn search_in(
        &self,
        searcher: &Searcher,
        query: &Query,
        parsed: &Parsed,
    ) -> tantivy::Result<(Ranked, Results)> {
        let mut planner = Planner::new(searcher, self.fields.text);
        let plan = plan(&mut planner, parsed, false)?;
        let mut results = Results { notes: parsed.notes.clone(), ..Results::default() };
        results.notes.append(&mut planner.notes);
        let keep = query.offset.saturating_add(query.limit).min(MAX_DEPTH);
        if plan.required.is_empty() {
            if !parsed.everything
                && plan.excluded.is_empty()
                && (query.filter.is_empty() || !parsed.clauses.is_empty())
            {
                if parsed.clauses.is_empty() {
                    results.notes.push(NOTE_NOTHING.to_owned());
                }
                return Ok(((Vec::new(), Vec::new()), results));
            }
            if !plan.excluded.is_empty() {
                results.notes.push(NOTE_ONLY_EXCLUDED.to_owned());
            }
        }
        let marks = plan.marks();
        let weights = self.weights(searcher, query, &plan, false)?;
        let (total, mut found) = evaluate(searcher, &weights, query, keep)?;
        results.total = total;
        if total > 0 || plan.required.is_empty() {
            page_numbers(searcher, &mut found)?;
            return Ok(((found, marks), results));
        }
        // Nothing matches all: what matches some, and runs by their parts.
        let relaxed = plan_relaxed(&mut planner, parsed)?;
        let marks = relaxed.marks();
        let weights = self.weights(searcher, query, &relaxed, true)?;
        let (total, mut found) = evaluate(searcher, &weights, query, keep)?;
        page_numbers(searcher, &mut found)?;
        results.total = total;
        if total > 0 {
            results.notes.push(NOTE_RELAXED.to_owned());
        }
        Ok(((found, marks), results))
    }

    /// `relaxed`: one of the clauses is enough.
    fn weights(
        &self,
        searcher: &Searcher,
        query: &Query,
        plan: &Plan,
        relaxed: bool,
    ) -> tantivy::Result<Weights> {
        let unscored = EnableScoring::disabled_from_searcher(searcher);
        let mut required: Vec<Box<dyn Weight>> = Vec::new();
        if let Some(case_file) = query.filter.case_file_id {
            let term = Term::from_field_bytes(self.fields.case_file, case_file.as_bytes());
            required.push(TermQuery::new(term, IndexRecordOption::Basic).weight(unscored)?);
        }
        if !relaxed && plan.required.len() > 1 {
            // The rarest first: what it leaves decides how much of the others is read.
            let mut clauses: Vec<&ClausePlan> = plan.required.iter().collect();
            clauses.sort_by_key(|clause| clause.entries());
            for clause in clauses {
                required.push(any_of([clause]).weight(unscored)?);
            }
        }
        let excluded =
            plan.excluded.iter().map(|clause| any_of([clause]).weight(unscored)).collect::<Result<_, _>>()?;
        let scored = EnableScoring::enabled_from_searcher(searcher);
        let ranking = if plan.required.is_empty() {
            AllQuery.weight(scored)
        } else {
            any_of(&plan.required).weight(scored)
        };
        Ok(Weights { required, excluded, ranking: ranking? })
    }

    fn hit(&self, searcher: &Searcher, found: &Found, marks: Option<&[Mark]>) -> Result<Hit, IndexError> {
        let stored = |entry, field| -> Result<String, IndexError> {
            let document: TantivyDocument =
                searcher.doc(DocAddress::new(found.segment, entry)).map_err(IndexError::Read)?;
            Ok(document.get_first(field).and_then(|value| value.as_str()).unwrap_or_default().to_owned())
        };
        let record: Record = serde_json::from_str(&stored(found.first, self.fields.record)?)?;
        let passage = match marks {
            None => None,
            Some(marks) if found.page == 0 => Some(facts_snippet(record.values(), marks)),
            Some(marks) => Some(snippet(&stored(found.best, self.fields.body)?, marks)),
        };
        Ok(Hit {
            document_id: record.document_id,
            page: (found.page > 0).then_some(found.page),
            score: found.score,
            pages_matched: found.pages_matched,
            snippet: passage,
            case_file_id: record.case_file_id,
            file_reference: record.file_reference,
            title: record.title,
            source_name: record.source_name,
            kind: record.kind,
            unit: record.unit,
            date: record.date.and_then(|date| date.parse().ok()),
        })
    }
}

impl Plan {
    fn marks(&self) -> Vec<Mark> {
        self.required.iter().flat_map(|clause| &clause.looks).flat_map(|look| look.marks.clone()).collect()
    }
}

fn plan(planner: &mut Planner<'_>, parsed: &Parsed, split: bool) -> tantivy::Result<Plan> {
    let mut plan = Plan { required: Vec::new(), excluded: Vec::new() };
    for clause in &parsed.clauses {
        if let Some(planned) = planner.clause(clause, split && !clause.excluded)? {
            if clause.excluded { plan.excluded.push(planned) } else { plan.required.push(planned) }
        }
    }
    // „Amt für Jugend“ needs no „für“; „der“ alone is searched.
    if plan.required.iter().any(|clause| !clause.is_function_words()) {
        plan.required.retain(|clause| !clause.is_function_words());
    }
    Ok(plan)
}

fn plan_relaxed(planner: &mut Planner<'_>, parsed: &Parsed) -> tantivy::Result<Plan> {
    plan(planner, parsed, true)
}

fn any_of<'p>(clauses: impl IntoIterator<Item = &'p ClausePlan>) -> Box<dyn TantivyQuery> {
    let looks = clauses.into_iter().flat_map(|clause| &clause.looks);
    let mut queries: Vec<_> = looks.map(|look| look.query.box_clone()).collect();
    if queries.len() == 1 { queries.remove(0) } else { Box::new(BooleanQuery::union(queries)) }
}
