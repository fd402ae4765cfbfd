//! What can be checked without an archive: rows that contradict one another, and the order of parents.

use super::{At, Listed, Manifest, Problem};
use crate::domain::text::Line;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Checks the rows against one another; parents come before their children afterwards.
pub(super) fn check(manifest: &mut Manifest) {
    let problems = &mut manifest.problems;
    manifest.units = order(
        std::mem::take(&mut manifest.units),
        "Organisationseinheit",
        |row| row.code.as_str(),
        |row| row.parent.as_ref().map(Line::as_str),
        problems,
    );
    manifest.plan_units = order(
        std::mem::take(&mut manifest.plan_units),
        "Aktenplaneinheit",
        |row| row.code.as_str(),
        |row| row.parent.as_ref().map(Line::as_str),
        problems,
    );
    let mut keys = BTreeMap::<(&str, String), u64>::new();
    let mut once = |at: &At, column: &'static str, value: Option<String>, problems: &mut Vec<Problem>| {
        let Some(value) = value else { return true };
        if let Some(first) = keys.get(&(column, value.clone())) {
            let detail = format!("„{value}“ steht schon in Zeile {first}");
            problems.push(Problem { at: at.clone(), column: Some(column.to_owned()), detail });
            return false;
        }
        keys.insert((column, value), at.line);
        true
    };
    manifest.case_files.retain(|listed| {
        let row = &listed.row;
        once(&listed.at, "key", row.key.as_ref().map(ToString::to_string), problems)
            && once(&listed.at, "reference", row.reference.as_ref().map(ToString::to_string), problems)
    });
    manifest.batches.retain(|listed| once(&listed.at, "name", Some(listed.row.name.clone()), problems));
    documents(manifest);
    classes(manifest);
}

/// A class is the name of a rule, so any may be right; one that looks like a slip is worth a word, once.
fn classes(manifest: &mut Manifest) {
    let of_plan = manifest.plan_units.iter().map(|listed| (&listed.at, &listed.row.retention_class));
    let of_files = manifest.case_files.iter().map(|listed| (&listed.at, &listed.row.retention_class));
    let mut told = BTreeSet::new();
    let mut notes = Vec::new();
    for (at, class) in of_plan.chain(of_files) {
        let Some(class) = class.as_ref().filter(|class| is_odd(class.as_str())) else { continue };
        if told.insert(class.to_string()) {
            notes.push(format!(
                "{at}: Die Aufbewahrungsklasse „{class}“ ist weder eine Zahl von Jahren noch „dauernd“. Sie wird \
                 übernommen, wie sie dasteht; bitte prüfen, ob sie so gemeint ist."
            ));
        }
    }
    manifest.notes.extend(notes);
}

/// Whether a class has neither a number in it nor says that there is no end.
fn is_odd(class: &str) -> bool {
    let endless = ["dauernd", "dauerhaft", "unbefristet", "permanent"];
    !class.chars().any(|c| c.is_ascii_digit()) && !endless.contains(&class.to_lowercase().as_str())
}

fn documents(manifest: &mut Manifest) {
    let batches: BTreeSet<&str> = manifest.batches.iter().map(|listed| listed.row.name.as_str()).collect();
    let mut seen = HashMap::<(String, Option<String>), u64>::new();
    for document in &mut manifest.documents {
        let mut problem = |column: &str, detail: String| {
            document.problems.push(Problem {
                at: document.at.clone(),
                column: Some(column.to_owned()),
                detail,
            });
        };
        if let Some(batch) = &document.batch
            && !batches.contains(batch.as_str())
        {
            problem("batch", format!("die Charge „{batch}“ beschreibt keine Zeile der Art „batch“"));
        }
        if document.path.trim().is_empty() {
            continue;
        }
        let place = (document.path.clone(), document.case_file.clone());
        if let Some(first) = seen.get(&place) {
            problem("path", format!("dieselbe Datei steht für dieselbe Akte schon in Zeile {first}"));
        } else {
            seen.insert(place, document.at.line);
        }
    }
}

/// Puts parents before children. A row that repeats another is dropped; one that contradicts it is a problem, and
/// so is a circle. Parents that are in no row may be in the archive.
fn order<T: PartialEq>(
    rows: Vec<Listed<T>>,
    what: &str,
    code: impl Fn(&T) -> &str,
    parent: impl Fn(&T) -> Option<&str>,
    problems: &mut Vec<Problem>,
) -> Vec<Listed<T>> {
    const DEEPEST: usize = 64;
    let mut kept: Vec<Listed<T>> = Vec::with_capacity(rows.len());
    let mut places = HashMap::<String, usize>::new();
    for listed in rows {
        match places.get(code(&listed.row)) {
            Some(at) if kept[*at].row == listed.row => {}
            Some(at) => problems.push(Problem {
                detail: format!(
                    "die {what} „{}“ steht mit anderen Angaben schon in Zeile {}",
                    code(&listed.row),
                    kept[*at].at.line
                ),
                at: listed.at,
                column: Some("code".to_owned()),
            }),
            None => {
                places.insert(code(&listed.row).to_owned(), kept.len());
                kept.push(listed);
            }
        }
    }
    // How deep each row lies; a row on a circle lies infinitely deep.
    let depth = |from: usize| {
        let (mut depth, mut at) = (0_usize, from);
        while let Some(above) = parent(&kept[at].row).and_then(|parent| places.get(parent)) {
            (depth, at) = (depth + 1, *above);
            if depth > DEEPEST {
                return None;
            }
        }
        Some(depth)
    };
    let depths: Vec<Option<usize>> = (0..kept.len()).map(depth).collect();
    let mut ordered = Vec::with_capacity(kept.len());
    for (listed, depth) in kept.into_iter().zip(depths) {
        match depth {
            Some(depth) => ordered.push((depth, listed)),
            None => problems.push(Problem {
                detail: format!(
                    "die {what} „{}“ liegt über sich selbst oder mehr als {DEEPEST} Stufen tief",
                    code(&listed.row)
                ),
                at: listed.at,
                column: Some("parent".to_owned()),
            }),
        }
    }
    ordered.sort_by_key(|(depth, _)| *depth);
    ordered.into_iter().map(|(_, listed)| listed).collect()
}
