//! The index as its users see it.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;

struct Fixture {
    dir: TempDir,
    index: SearchIndex,
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn entry(number: u128, label: &str, title: &str) -> DocumentEntry {
    DocumentEntry {
        document_id: id(number),
        label: label.to_owned(),
        title: Some(title.to_owned()),
        source_name: format!("scan-{number:04}.pdf"),
        ..DocumentEntry::default()
    }
}

fn pages(texts: &[&str]) -> Vec<PageEntry> {
    (1..).zip(texts).map(|(number, text)| PageEntry { number, text: (*text).to_owned() }).collect()
}

impl Fixture {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let index = SearchIndex::create(dir.path().join("index"), Settings::default()).unwrap();
        Self { dir, index }
    }

    /// One-page documents, numbered from 1.
    fn with(texts: &[&str]) -> Self {
        let fixture = Self::new();
        for (number, text) in (1..).zip(texts) {
            fixture.index.replace_document(&entry(number, "a", ""), pages(&[text])).unwrap();
        }
        fixture.index.commit(1).unwrap();
        fixture
    }

    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("index")
    }

    fn search(&self, text: &str) -> Results {
        self.index.search(&Query::new(text, Visible::All)).unwrap()
    }

    fn found(&self, text: &str) -> Vec<u128> {
        let results = self.search(text);
        assert_eq!(results.total, results.hits.len(), "{text:?}");
        results.hits.iter().map(|hit| hit.document_id.as_u128()).collect()
    }

    fn check(&self, text: &str, expected: &[u128]) {
        assert_eq!(self.found(text), expected, "{text:?}");
    }
}

#[test]
fn umlauts_are_found_in_all_directions() {
    let texts = ["Herr Müller, Weißstraße", "Herr Mueller, Weissstrasse", "Herr MU\u{308}LLER, WEISSSTRASSE"];
    let fixture = Fixture::with(&texts);
    // „Muller“ is what a keyboard without umlauts gives: the stem is the same.
    for word in
        ["Müller", "Mueller", "MUELLER", "mu\u{308}ller", "Muller", "Weißstraße", "weissstrasse", "Muel*"]
    {
        let mut found = fixture.found(word);
        found.sort_unstable();
        assert_eq!(found, [1, 2, 3], "{word}");
    }
    fixture.check("\"Muller\"", &[]);
}

#[test]
fn inflected_forms_are_found_and_the_form_typed_comes_first() {
    let fixture = Fixture::with(&["Die Anträge liegen vor", "Der Antrag liegt vor", "Des Antrages wegen"]);
    for (word, first) in [("Antrag", 2), ("Anträge", 1), ("antraege", 1), ("Antrages", 3)] {
        let found = fixture.found(word);
        assert_eq!((found.len(), found[0]), (3, first), "{word}");
    }
    fixture.check("\"Antrages\"", &[3]);
}

#[test]
fn file_references_are_found_whole_in_parts_and_by_their_beginning() {
    let fixture = Fixture::with(&[
        "Az. 51.20-2024/17, wie besprochen",
        "Az. 51.20-2024/18",
        "Flurstück 0001-012-00345/2.",
        "im Jahr 2024 gab es 17 Fälle",
    ]);
    fixture.check("51.20-2024/17", &[1]);
    let found = fixture.found("51.20");
    assert!(found.contains(&1) && found.contains(&2) && found.len() == 2);
    assert_eq!(fixture.found("51.20-2024/*").len(), 2);
    fixture.check("0001-012-00345/2", &[3]);
    fixture.check("00345", &[3]);
    fixture.check("\"2024 17\"", &[1]);
}

#[test]
fn a_paragraph_is_told_from_a_number() {
    let fixture = Fixture::with(&["nach § 34 BauGB", "die Hausnummer 34", "nach §34a BauGB"]);
    fixture.check("§ 34", &[1]);
    fixture.check("§34a", &[3]);
    assert_eq!(fixture.found("34").len(), 2);
}

#[test]
fn words_broken_at_line_ends_are_found() {
    let fixture = Fixture::with(&["Die Bauge-\nnehmigung", "Bau-\nund Planungsamt", "Müller-\nLüdenscheidt"]);
    fixture.check("Baugenehmigungen", &[1]);
    fixture.check("Planungsamt Bau", &[2]);
    fixture.check("Müller-Lüdenscheidt", &[3]);
    fixture.check("Lüdenscheidt", &[3]);
}

#[test]
fn all_words_are_wanted_and_may_stand_on_different_pages() {
    let fixture = Fixture::new();
    let text = ["Zaun am Garten", "Der Nachbar widerspricht"];
    fixture.index.replace_document(&entry(1, "a", "Streit um Grenze"), pages(&text)).unwrap();
    fixture.index.replace_document(&entry(2, "a", "Gartenlaube"), pages(&["Ein Zaun"])).unwrap();
    fixture.index.commit(1).unwrap();
    fixture.check("Zaun Nachbar", &[1]);
    fixture.check("Grenze Nachbar", &[1]);
    fixture.check("Zaun -Nachbar", &[2]);
    fixture.check("Zaun NICHT Nachbar", &[2]);
    assert_eq!(fixture.found("Nachbar ODER Gartenlaube").len(), 2);
    let hit = &fixture.search("widerspricht").hits[0];
    assert_eq!((hit.page, hit.pages_matched), (Some(2), 1));
    let hit = &fixture.search("Grenze").hits[0];
    assert_eq!((hit.page, hit.pages_matched, hit.title.as_deref()), (None, 0, Some("Streit um Grenze")));
}

#[test]
fn when_nothing_matches_all_words_the_best_partial_matches_come_with_a_note() {
    let fixture = Fixture::with(&["Zaun und Hecke am Garten", "Ein Zaun", "Etwas anderes"]);
    let results = fixture.search("Zaun Hecke Drachenfels");
    let found: Vec<_> = results.hits.iter().map(|hit| hit.document_id.as_u128()).collect();
    assert_eq!((found, results.notes.len()), (vec![1, 2], 1));
    let results = fixture.search("Drachenfels");
    assert_eq!((results.total, results.notes.len()), (0, 0));
    assert_eq!(fixture.search("Zaun für die Hecke").notes.len(), 0, "function words are not required");
}

#[test]
fn labels_filters_and_case_files_act_before_counting() {
    let fixture = Fixture::new();
    for number in 1..=30 {
        let mut document = entry(number, if number % 3 == 0 { "secret" } else { "open" }, "Zaun");
        document.unit = Some(format!("unit-{}", number % 2));
        document.date = Some(jiff::civil::date(2000 + i16::try_from(number).unwrap(), 5, 1));
        document.case_file_id = Some(id(number % 5));
        fixture.index.replace_document(&document, pages(&["Ein Zaun", "noch ein Zaun"])).unwrap();
    }
    fixture.index.commit(1).unwrap();
    let total = |visible: &Visible, filter: &Filter, text: &str| {
        let mut query = Query::new(text, visible.clone());
        query.filter = filter.clone();
        query.limit = 3;
        let results = fixture.index.search(&query).unwrap();
        assert!(results.hits.len() == results.total.min(3));
        results.total
    };
    let open = Visible::Labels(["open".to_owned(), "unknown".to_owned()].into());
    let none = Visible::Labels([].into());
    let all = Filter::default();
    let unit = Filter { units: ["unit-0".to_owned()].into(), ..all.clone() };
    let years = Filter {
        from: Some(jiff::civil::date(2003, 5, 1)),
        to: Some(jiff::civil::date(2007, 4, 30)),
        ..all.clone()
    };
    let file = Filter { case_file_id: Some(id(4)), ..all.clone() };
    for text in ["Zaun", "Zaun noch", "\"ein Zaun\"", "Zau*", "Zaun Drache", "*", "-Drache"] {
        assert_eq!(total(&Visible::All, &all, text), 30, "{text}");
        assert_eq!(total(&open, &all, text), 20, "{text}");
        assert_eq!(total(&none, &all, text), 0, "{text}");
        assert_eq!(total(&Visible::All, &unit, text), 15, "{text}");
        assert_eq!(total(&Visible::All, &years, text), 4, "{text}");
        assert_eq!(total(&open, &years, text), 2, "{text}");
        assert_eq!(total(&Visible::All, &file, text), 6, "{text}");
        assert_eq!(total(&open, &file, text), 4, "{text}");
    }
    assert_eq!(total(&Visible::All, &file, ""), 6, "filters alone list what they let pass");
    assert_eq!(total(&Visible::All, &all, ""), 0);
}

#[test]
fn a_word_in_hidden_documents_only_reads_like_an_unknown_word() {
    let fixture = Fixture::new();
    fixture.index.replace_document(&entry(1, "secret", ""), pages(&["Drachenfels"])).unwrap();
    fixture.index.replace_document(&entry(2, "open", ""), pages(&["Zaun"])).unwrap();
    fixture.index.commit(1).unwrap();
    let search = |text: &str| {
        let visible = Visible::Labels(["open".to_owned()].into());
        fixture.index.search(&Query::new(text, visible)).unwrap()
    };
    for (hidden, unknown) in
        [("Drachenfels", "Lindwurm"), ("Drach*", "Lindw*"), ("Zaun Drachenfels", "Zaun Lindwurm")]
    {
        let (hidden, unknown) = (search(hidden), search(unknown));
        assert_eq!((hidden.total, hidden.notes), (unknown.total, unknown.notes));
    }
}

#[test]
fn replacing_and_removing_take_effect_on_commit() {
    let fixture = Fixture::with(&["alter Zaun", "alte Hecke"]);
    let longer = pages(&["neuer Zaun", "zweite Seite", "dritte Seite"]);
    fixture.index.replace_document(&entry(1, "a", ""), longer).unwrap();
    fixture.index.remove_document(id(2)).unwrap();
    fixture.check("alter", &[1, 2]);
    fixture.index.commit(2).unwrap();
    fixture.check("alter", &[]);
    fixture.check("Hecke", &[]);
    fixture.check("dritte", &[1]);
    // Repeating a replay leads to the same.
    fixture.index.replace_document(&entry(1, "a", ""), pages(&["neuer Zaun"])).unwrap();
    fixture.index.replace_document(&entry(1, "a", ""), pages(&["neuer Zaun"])).unwrap();
    fixture.index.commit(3).unwrap();
    fixture.check("Zaun", &[1]);
    fixture.check("dritte", &[]);
}

#[test]
fn the_committed_position_survives_and_uncommitted_changes_do_not() {
    let fixture = Fixture::with(&["Zaun"]);
    fixture.index.commit(41).unwrap();
    fixture.index.replace_document(&entry(2, "a", ""), pages(&["Hecke"])).unwrap();
    fixture.index.discard();
    fixture.index.commit(42).unwrap();
    assert_eq!(fixture.index.position(), 42);
    fixture.index.replace_document(&entry(3, "a", ""), pages(&["Garten"])).unwrap();
    let path = fixture.path();
    let Fixture { dir, index } = fixture;
    drop(index);
    let index = SearchIndex::open(path, Settings::default()).unwrap();
    assert_eq!(index.position(), 42);
    let fixture = Fixture { dir, index };
    fixture.check("Hecke ODER Garten", &[]);
    fixture.check("Zaun", &[1]);
}

#[test]
fn a_resting_index_goes_on_working() {
    let fixture = Fixture::with(&["Zaun"]);
    assert!(!fixture.index.rest_if_idle(std::time::Duration::from_mins(10)).unwrap());
    assert!(fixture.index.rest_if_idle(std::time::Duration::ZERO).unwrap());
    fixture.check("Zaun", &[1]);
    fixture.index.replace_document(&entry(2, "a", ""), pages(&["Hecke"])).unwrap();
    fixture.index.commit(2).unwrap();
    fixture.check("Hecke", &[2]);
    fixture.index.merge_all().unwrap();
    fixture.check("Hecke", &[2]);
    assert_eq!(SearchIndex::open(fixture.path(), Settings::default()).unwrap().position(), 2);
}

#[test]
fn any_damage_asks_for_a_replay_and_reset_starts_afresh() {
    let fixture = Fixture::with(&["Zaun am Garten", "Hecke"]);
    fixture.index.rest().unwrap();
    let files: Vec<_> = fs::read_dir(fixture.path()).unwrap().map(|file| file.unwrap().path()).collect();
    let mut tried = 0;
    for file in files.iter().filter(|file| file.extension().is_none_or(|extension| extension != "lock")) {
        let sound = fs::read(file).unwrap();
        let mut flipped = sound.clone();
        if let Some(byte) = flipped.get_mut(sound.len() / 2) {
            *byte ^= 0x10;
        }
        for damaged in [Some(&sound[..sound.len() / 2]), Some(flipped.as_slice()), Some(&[][..]), None] {
            match damaged {
                Some(bytes) => write(file, bytes),
                None => fs::remove_file(file).unwrap(),
            }
            match SearchIndex::open(fixture.path(), Settings::default()) {
                Err(error) => assert!(error.calls_for_replay(), "{}: {error}", file.display()),
                // A changed character of a name in the metadata may leave an index that is none the worse.
                Ok(index) => {
                    assert!(file.extension().is_some_and(|e| e == "json"), "{} {index:?}", file.display());
                }
            }
            write(file, &sound);
            tried += 1;
        }
    }
    assert!(tried > 20, "{tried}");
    let _ = SearchIndex::open(fixture.path(), Settings::default()).unwrap();
    fs::remove_file(fixture.path().join("meta.json")).unwrap();
    let (index, reason) = SearchIndex::open_or_reset(fixture.path(), Settings::default()).unwrap();
    assert!(matches!(reason, Some(OpenError::Damaged(_))), "{reason:?}");
    assert_eq!((index.position(), index.search(&Query::new("Zaun", Visible::All)).unwrap().total), (0, 0));
}

#[test]
fn another_version_is_outdated_and_no_index_is_missing() {
    let fixture = Fixture::with(&["Zaun"]);
    let meta = fixture.path().join("meta.json");
    let text = fs::read_to_string(&meta).unwrap();
    write(&meta, text.replace("german_", "german_0").as_bytes());
    assert!(matches!(SearchIndex::open(fixture.path(), Settings::default()), Err(OpenError::Outdated)));
    let nowhere = fixture.dir.path().join("nowhere");
    assert!(matches!(SearchIndex::open(&nowhere, Settings::default()), Err(OpenError::Missing(_))));
    let error = SearchIndex::create(fixture.path(), Settings::default()).unwrap_err();
    assert!(!error.calls_for_replay(), "an index is never made on top of another");
}

#[test]
fn after_a_purge_nothing_of_a_removed_document_is_left() {
    let fixture = Fixture::new();
    // Distinct words, so that the stored text holds them uncompressed at least once.
    for number in 1..=40 {
        let text = [format!("Vermerk Qx{number}zyw über den Zaun"), format!("Seite zwei Vk{number}jqp")];
        let text: Vec<&str> = text.iter().map(String::as_str).collect();
        fixture
            .index
            .replace_document(&entry(number, "a", &format!("Titel Hw{number}gfd")), pages(&text))
            .unwrap();
        if number % 10 == 0 {
            fixture.index.commit(1).unwrap();
        }
    }
    let left = |word: &str| files_with(&fixture.path(), word) + stored_with(&fixture.index, word);
    assert!(left("qx7zyw") > 0 && left("Vk7jqp") > 0, "the check itself finds words");
    fixture.index.remove_document(id(7)).unwrap();
    fixture.index.replace_document(&entry(9, "a", "neu"), pages(&["neu"])).unwrap();
    fixture.index.commit(2).unwrap();
    assert_eq!(fixture.index.purge().unwrap(), Purged { complete: true });
    for word in ["qx7zyw", "Qx7zyw", "vk7jqp", "Vk7jqp", "hw7gfd", "Hw7gfd", "qx9zyw", "Qx9zyw", "Hw9gfd"] {
        assert_eq!(left(word), 0, "{word}");
    }
    assert!(left("qx8zyw") > 0);
    fixture.check("Qx8zyw Vk8jqp", &[8]);
    assert_eq!(fixture.index.position(), 2);
    assert_eq!(fixture.index.damaged_files().unwrap(), Vec::<std::path::PathBuf>::new());
    assert_eq!(fixture.search("Vermerk").total, 38);
}

#[test]
fn a_purge_does_not_wait_for_a_search_under_way() {
    let fixture = Fixture::with(&["Zaun", "Hecke"]);
    let searcher = fixture.index.reader.searcher();
    fixture.index.remove_document(id(1)).unwrap();
    fixture.index.commit(2).unwrap();
    // The old files have lost their names; what the search still reads goes with it.
    assert!(fixture.index.purge().unwrap().complete);
    assert_eq!(files_with(&fixture.path(), "zaun"), 0);
    assert_eq!(searcher.num_docs(), 4);
    drop(searcher);
    assert!(fixture.index.purge().unwrap().complete);
}

#[test]
fn hits_are_paged_and_hold_what_is_shown() {
    let fixture = Fixture::new();
    for number in 1..=25 {
        let mut document = entry(number, "a", "Zaun");
        document.file_reference = Some("51.20-2024/17".to_owned());
        document.case_file_id = Some(id(99));
        document.parties = vec!["Grete Sommerfeldt".to_owned()];
        fixture.index.replace_document(&document, pages(&["Der Zaun ist morsch."])).unwrap();
    }
    fixture.index.commit(1).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for offset in [0, 10, 20, 30] {
        let query = Query { offset, ..Query::new("Sommerfeldt Zaun morsch", Visible::All) };
        let results = fixture.index.search(&query).unwrap();
        assert_eq!((results.total, results.hits.len()), (25, [10, 10, 5, 0][offset / 10]));
        seen.extend(results.hits.iter().map(|hit| hit.document_id));
    }
    assert_eq!(seen.len(), 25);
    let hit = fixture.search("51.20-2024/17").hits.remove(0);
    assert_eq!((hit.case_file_id, hit.file_reference.as_deref()), (Some(id(99)), Some("51.20-2024/17")));
    let snippet = hit.snippet.unwrap();
    assert_eq!(snippet.marks.iter().map(|r| &snippet.text[r.clone()]).collect::<Vec<_>>(), ["51.20-2024/17"]);
    let snippet = fixture.search("morscher").hits.remove(0).snippet.unwrap();
    assert_eq!(&snippet.text[snippet.marks[0].clone()], "morsch");
    let unmarked = Query { snippets: false, ..Query::new("morsch", Visible::All) };
    assert_eq!(fixture.index.search(&unmarked).unwrap().hits[0].snippet, None);
}

#[test]
fn text_beyond_the_limits_is_left_out_and_said_so() {
    let fixture = Fixture::new();
    let long = "ä".repeat(MAX_PAGE_BYTES);
    let texts = pages(&["kurz", &long, "", "Ende"]);
    let indexed = fixture.index.replace_document(&entry(1, "a", ""), texts).unwrap();
    assert_eq!(indexed, Indexed { pages: 3, truncated: true });
    fixture.index.commit(1).unwrap();
    assert_eq!(fixture.search("Ende").hits[0].page, Some(4));
}

#[test]
fn documents_without_text_are_found_by_their_metadata() {
    let fixture = Fixture::new();
    fixture.index.replace_document(&entry(1, "a", "Plan auf Papier"), Vec::new()).unwrap();
    fixture.index.commit(1).unwrap();
    fixture.check("Plan", &[1]);
    fixture.check("scan-0001.pdf", &[1]);
}

fn write(file: &Path, bytes: &[u8]) {
    use std::io::Write;
    fs::File::create(file).unwrap().write_all(bytes).unwrap();
}

/// Files in which the word stands in plain bytes.
fn files_with(dir: &Path, word: &str) -> usize {
    let files = fs::read_dir(dir).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap());
    files.filter(|bytes| bytes.windows(word.len()).any(|window| window == word.as_bytes())).count()
}

/// Stored texts, of removed entries too, and dictionary entries in which the word stands.
fn stored_with(index: &SearchIndex, word: &str) -> usize {
    use tantivy::schema::Value;
    let searcher = index.reader.searcher();
    let mut count = 0;
    for segment in searcher.segment_readers() {
        let store = segment.get_store_reader(1).unwrap();
        for document in store.iter::<tantivy::TantivyDocument>(None) {
            let document = document.unwrap();
            let stored = [index.fields.body, index.fields.record]
                .into_iter()
                .filter_map(|field| document.get_first(field));
            count += stored.filter(|value| value.as_str().unwrap().contains(word)).count();
        }
        let terms = segment.inverted_index(index.fields.text).unwrap();
        let mut stream = terms.terms().stream().unwrap();
        while stream.advance() {
            count += usize::from(stream.key() == word.as_bytes());
        }
    }
    count
}

/// A model of the index: documents as lists of pages of plain words.
#[derive(Clone, Debug)]
enum Step {
    Replace(u8, Vec<Vec<u8>>),
    Remove(u8),
    Commit,
    Merge,
}

fn step() -> impl Strategy<Value = Step> {
    let pages = prop::collection::vec(prop::collection::vec(0..6_u8, 1..4), 0..4);
    prop_oneof![
        6 => (0..8_u8, pages).prop_map(|(document, pages)| Step::Replace(document, pages)),
        2 => (0..8_u8).prop_map(Step::Remove),
        2 => Just(Step::Commit),
        1 => Just(Step::Merge),
    ]
}

const WORDS: [&str; 6] = ["zaun", "hecke", "garten", "brunnen", "laube", "pfad"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn after_any_history_documents_match_as_a_naive_reading_says(steps in prop::collection::vec(step(), 1..30)) {
        let fixture = Fixture::new();
        let mut model: std::collections::BTreeMap<u8, Vec<Vec<u8>>> = std::collections::BTreeMap::default();
        for step in steps {
            match step {
                Step::Replace(document, texts) => {
                    let texts: Vec<String> = texts.iter().map(|page| page.iter().map(|word| WORDS[usize::from(*word)]).collect::<Vec<_>>().join(" ")).collect();
                    let refs: Vec<&str> = texts.iter().map(String::as_str).collect();
                    fixture.index.replace_document(&entry(document.into(), "a", ""), pages(&refs)).unwrap();
                    model.insert(document, texts.iter().map(|text| text.split(' ').filter_map(|word| WORDS.iter().position(|w| *w == word)).map(|at| u8::try_from(at).unwrap()).collect()).collect());
                }
                Step::Remove(document) => {
                    fixture.index.remove_document(id(document.into())).unwrap();
                    model.remove(&document);
                }
                Step::Commit => fixture.index.commit(1).unwrap(),
                Step::Merge => { fixture.index.commit(1).unwrap(); fixture.index.merge_all().unwrap(); }
            }
        }
        fixture.index.commit(2).unwrap();
        for (a, b) in [(0, 1), (2, 3), (4, 5), (0, 5)] {
            let has = |pages: &Vec<Vec<u8>>, word: u8| pages.iter().flatten().any(|w| *w == word);
            let expect = |wanted: &dyn Fn(&Vec<Vec<u8>>) -> bool| -> Vec<u128> {
                model.iter().filter(|(_, pages)| wanted(pages)).map(|(document, _)| u128::from(*document)).collect()
            };
            let (first, second) = (WORDS[usize::from(a)], WORDS[usize::from(b)]);
            let both = expect(&|pages| has(pages, a) && has(pages, b));
            let either = expect(&|pages| has(pages, a) || has(pages, b));
            let queries = [
                (first.to_owned(), expect(&|pages| has(pages, a))),
                (format!("{first} {second}"), if both.is_empty() { either.clone() } else { both }),
                (format!("{first} ODER {second}"), either),
                (format!("{first} -{second}"), expect(&|pages| has(pages, a) && !has(pages, b))),
                (format!("\"{first} {second}\""), expect(&|pages| pages.iter().any(|page| page.windows(2).any(|w| w == [a, b])))),
            ];
            for (query, expected) in queries {
                let mut found = fixture.found(&query);
                found.sort_unstable();
                prop_assert_eq!(found, expected, "{}", query);
            }
        }
    }
}

#[test]
fn nothing_typed_leads_to_an_error_or_a_panic() {
    let fixture = Fixture::with(&[
        "§ 34 BauGB: Zulässigkeit von Vorhaben 51.20-2024/17 🏛️",
        "a-b c/d e.f z.B. x@y.de ß",
    ]);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(1500));
    let strategy =
        "(\\PC|[\"„“»«*§+|~&(){}\\[\\]^:/.@_ -]|a|ß|ODER | NICHT |34|[.]\\*|\u{0}|\n|\u{308}|\u{ad}){0,40}";
    let outcome = runner.run(&strategy.prop_map(|text: String| text), |text| {
        let results = fixture.index.search(&Query::new(text, Visible::All));
        let results = results.map_err(|error| TestCaseError::fail(error.to_string()))?;
        for hit in results.hits {
            let snippet = hit.snippet.unwrap_or_default();
            prop_assert!(snippet.marks.iter().all(|range| snippet.text.get(range.clone()).is_some()));
        }
        Ok(())
    });
    outcome.unwrap();
    let long = "wort ".repeat(100_000);
    assert_eq!(fixture.search(&long).notes.len(), 2);
    // Too long, and no document has the whole run: two notes again.
    assert_eq!(fixture.search(&"a-".repeat(50_000)).notes.len(), 2);
}
