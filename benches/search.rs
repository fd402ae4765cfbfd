//! How fast does a search answer, and how large is the index? About 80,000 sections of German law (public domain), one
//! document each; the questions of the corpus, and words, pairs, phrases and beginnings drawn from the texts, seed 7.
//! In-process, without snippets; the index lies in the page cache, as it does in a town hall's server.

#![allow(clippy::print_stdout, missing_docs, reason = "a bench reports to whoever runs it")]

mod support;

use eakte::search::{DocumentEntry, PageEntry, Query, SearchIndex, Settings, Visible};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::{Duration, Instant};
use support::{Chance, corpora, figure, percentile, seconds};

#[derive(Deserialize)]
struct Section {
    id: String,
    title: String,
    jurabk: String,
    paragraph: String,
    heading: String,
    text: String,
}

#[derive(Deserialize)]
struct Question {
    query: String,
    relevant_ids: BTreeSet<String>,
}

fn sections(folder: &Path) -> Vec<Section> {
    let mut sections = Vec::new();
    for name in ["sections.jsonl.zst", "sections-2.jsonl.zst"] {
        let file = File::open(folder.join(name)).expect("the corpus is complete");
        let lines = BufReader::new(zstd::Decoder::new(file).expect("the corpus is compressed")).lines();
        sections.extend(lines.map(|line| {
            serde_json::from_str::<Section>(&line.expect("the corpus is readable")).expect("a section a line")
        }));
    }
    sections
}

fn main() {
    let Some(folder) = corpora().map(|folder| folder.join("gesetze")) else {
        println!("skipped: search (corpora absent)");
        return;
    };
    let sections = sections(&folder);
    let text_bytes: usize = sections.iter().map(|s| s.text.len() + s.heading.len() + s.title.len()).sum();
    let scratch = support::scratch("search");
    let index = SearchIndex::create(scratch.path().join("index"), Settings::bulk()).expect("an empty place");
    let (taken, ()) = seconds(|| {
        for (number, section) in (1_u128..).zip(&sections) {
            let entry = DocumentEntry {
                document_id: uuid::Uuid::from_u128(number),
                label: "-/normal".to_owned(),
                title: Some(format!("{} {} {}", section.jurabk, section.paragraph, section.heading)),
                source_name: format!("{}.txt", section.id),
                case_file_title: Some(section.title.clone()),
                ..DocumentEntry::default()
            };
            let page = PageEntry { number: 1, text: section.text.clone() };
            index.replace_document(&entry, [page]).expect("the index is writable");
        }
        index.commit(1).expect("the index is writable");
        index.rest().expect("the index is writable");
    });
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    let ratio = index.size_bytes().expect("the index is readable") as f64 / text_bytes as f64;
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = sections.len() as f64 / taken;
    figure("sections indexed", rate, "per second", "");
    figure("index / text", ratio, "", "target < 1.2");

    let questions = questions(&folder);
    let mut asked: Vec<String> = questions.iter().map(|question| question.query.clone()).collect();
    asked.extend(drawn(&sections));
    let mut times: Vec<Duration> = Vec::new();
    for round in 0..2 {
        for text in &asked {
            let query = Query { snippets: false, ..Query::new(text.clone(), Visible::All) };
            let start = Instant::now();
            std::hint::black_box(index.search(&query).expect("the index is readable"));
            // The first round brings the index into the cache.
            times.extend((round > 0).then(|| start.elapsed()));
        }
    }
    times.sort_unstable();
    let millis = |share| percentile(&times, share).as_secs_f64() * 1_000.0;
    figure("searches", millis(0.5), "ms p50", "target < 2");
    figure("searches", millis(0.99), "ms p99", "target < 20");
    figure("searches", millis(1.0), "ms longest", "");

    let found = questions.iter().filter(|question| {
        let results =
            index.search(&Query::new(question.query.clone(), Visible::All)).expect("the index is readable");
        results.hits.iter().any(|hit| {
            let id = hit.source_name.trim_end_matches(".txt");
            question.relevant_ids.contains(id)
        })
    });
    #[expect(clippy::cast_precision_loss, reason = "fifty")]
    let found = found.count() as f64;
    figure("questions answered among the first ten", found, "of 50", "SQLite FTS5: 22");
    let (now, peak) = support::memory_mb();
    println!("memory {now} MB, at most {peak} MB (the corpus itself is {} MB)", text_bytes >> 20);
}

fn questions(folder: &Path) -> Vec<Question> {
    let file = File::open(folder.join("queries.jsonl")).expect("the corpus is complete");
    let lines = BufReader::new(file).lines();
    lines
        .map(|line| serde_json::from_str(&line.expect("the corpus is readable")).expect("a question a line"))
        .collect()
}

/// Words, pairs, phrases and beginnings as they stand in the texts: 500 of each.
fn drawn(sections: &[Section]) -> Vec<String> {
    let mut chance = Chance::new(7);
    let mut asked = Vec::new();
    while asked.len() < 2_000 {
        let words: Vec<&str> = chance.pick(sections).text.split_whitespace().collect();
        if words.len() < 8 {
            continue;
        }
        let at = chance.below(words.len() - 3);
        let word = |offset: usize| words[at + offset].trim_matches(|c: char| !c.is_alphanumeric());
        asked.push(match asked.len() % 4 {
            0 => word(0).to_owned(),
            1 => format!("{} {}", word(0), chance.pick(&words)),
            2 => format!("\"{} {} {}\"", word(0), word(1), word(2)),
            _ => format!("{}*", word(0).chars().take(5).collect::<String>()),
        });
    }
    asked
}
