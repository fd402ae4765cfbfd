use super::*;
use crate::domain::codes::{Classification, Direction, Disposal, Medium, Origin, Protection};
use jiff::civil::date;
use std::io::Write as _;

fn read(name: &str, content: &[u8]) -> Manifest {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::File::create(&path).unwrap().write_all(content).unwrap();
    Manifest::read(&[path], &jiff::tz::TimeZone::get("Europe/Berlin").unwrap()).unwrap()
}

const WHOLE: &str = r#"
{"kind":"unit","code":"60","name":"Bauen"}
{"kind":"unit","code":"61","name":"Bauaufsicht","parent":"60"}
{"kind":"plan_unit","code":"60.10","title":"Baugenehmigungen","parent":"60.1","retention_class":"30","disposal":"B","legal_basis":"§ 1"}
{"kind":"plan_unit","code":"60.1","title":"Bauen"}
{"kind":"case_file","key":"carport","plan_unit":"60.10","unit":"60","title":"Carport","case_type":"Bauakte","protection":"tax","reference":"60.10-2024/17","aliases":["III/4 b","alt 2"],"medium":"hybrid","paper_location":"Keller 3","begins_on":"2024-03-01","ends_on":"2024-05-01","closed_on":"2024-06-01","retention_class":"10","parties":[{"role":"Antragstellerin","name":"Erika Beispiel"}],"fields":{"Flurstück":"12/4"}}
{"kind":"batch","name":"Karton 7","box_label":"7","person":"S3","station":"2","scanner":"T3","profile":"300","scanned_at":"2026-03-02T08:30:00+01:00","procedure_version":"1","sheets_expected":2,"pages_expected":3,"anomalies":["geknickt"]}
{"kind":"document","path":"a/b.pdf","case_file":"carport","batch":"Karton 7","title":"Antrag","document_type":"Antrag","document_date":"2024-03-01","received_on":"2024-03-02","direction":"in","origin":"scan","classification":"vs-nfd","sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":12}
"#;

#[test]
fn every_field_of_the_contract_is_taken_over() {
    let manifest = read("m.jsonl", WHOLE.as_bytes());
    assert_eq!(manifest.problems, []);
    assert_eq!(manifest.document_problems().count(), 0);
    let codes: Vec<&str> = manifest.plan_units.iter().map(|listed| listed.row.code.as_str()).collect();
    assert_eq!(codes, ["60.1", "60.10"], "parents come first");
    assert_eq!(manifest.plan_units[1].row.disposal, Some(Disposal::Appraise));
    assert_eq!(manifest.units[1].row.parent.as_ref().unwrap().as_str(), "60");
    let file = &manifest.case_files[0].row;
    assert_eq!(file.protection, Protection::Tax);
    assert_eq!(file.reference.as_ref().unwrap().as_str(), "60.10-2024/17");
    assert_eq!(file.aliases.len(), 2);
    assert_eq!(file.medium, Medium::Hybrid);
    assert_eq!(file.closed_on, Some(date(2024, 6, 1)));
    assert_eq!(file.parties[0].name, "Erika Beispiel");
    assert_eq!(file.fields["Flurstück"], "12/4");
    let batch = &manifest.batches[0].row;
    assert_eq!((batch.sheets_expected, batch.pages_expected), (Some(2), Some(3)));
    assert_eq!(batch.scanned_at.unwrap().to_string(), "2026-03-02T07:30:00Z");
    assert_eq!(batch.anomalies, ["geknickt"]);
    let document = &manifest.documents[0];
    assert_eq!(document.arrival.source_name, "b.pdf");
    assert_eq!(document.arrival.direction, Some(Direction::In));
    assert_eq!(document.arrival.origin, Origin::Scan);
    assert_eq!(document.arrival.classification, Some(Classification::Restricted));
    assert_eq!(document.declared.size, Some(12));
    assert!(document.declared.sha256.is_some());
}

#[test]
fn csv_says_the_same_as_json_lines() {
    let csv = "kind;key;plan_unit;unit;title;case_type;aliases;parties;field.Flurstück;path;case_file;document_date\r\n\
               case_file;carport;60.10;60;\"Carport; klein\";Bauakte;III/4 b | alt 2;A: Erika | B: Ötte;12/4;;;\r\n\
               document;;;;Antrag;;;;;a\\b.pdf;carport;01.03.2024\r\n\r\n";
    for (name, bytes, notes) in [
        ("utf8.csv", csv.as_bytes().to_vec(), 0),
        ("bom.csv", [b"\xef\xbb\xbf".as_slice(), csv.as_bytes()].concat(), 0),
        ("tab.csv", csv.replace(';', "\t").replace("Carport\t", "Carport;").into_bytes(), 0),
        ("win.csv", csv.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect(), 1),
        (
            "utf16.csv",
            [vec![0xff, 0xfe], csv.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat(),
            1,
        ),
    ] {
        let manifest = read(name, &bytes);
        assert_eq!(manifest.problems, [], "{name}");
        assert_eq!(manifest.notes.len(), notes, "{name}");
        let file = &manifest.case_files[0].row;
        assert_eq!(file.title.as_str(), "Carport; klein", "{name}");
        assert_eq!(file.aliases.len(), 2);
        assert_eq!(file.parties[1].name, "Ötte");
        assert_eq!(file.fields["Flurstück"], "12/4");
        assert_eq!(manifest.documents[0].arrival.document_date, Some(date(2024, 3, 1)));
        assert_eq!(manifest.documents[0].at.line, 3);
    }
}

#[test]
fn one_kind_a_file_is_seen_from_its_header() {
    for (csv, kind) in [
        ("code,name\n60,Bauen\n", "unit"),
        ("code,title\n60,Bauen\n", "plan_unit"),
        ("key,plan_unit,unit,title,case_type\nk,60,60,T,A\n", "case_file"),
        ("name,scanner\nKarton,S\n", "batch"),
        ("path\na.pdf\n", "document"),
    ] {
        let manifest = read("x.csv", csv.as_bytes());
        assert_eq!(manifest.problems, [], "{kind}");
        let counts = [
            manifest.units.len(),
            manifest.plan_units.len(),
            manifest.case_files.len(),
            manifest.batches.len(),
            manifest.documents.len(),
        ];
        let at =
            ["unit", "plan_unit", "case_file", "batch", "document"].iter().position(|k| *k == kind).unwrap();
        assert_eq!(counts.iter().sum::<usize>(), 1, "{kind}");
        assert_eq!(counts[at], 1, "{kind}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv");
    std::fs::File::create(&path).unwrap().write_all(b"foo;bar\n1;2\n").unwrap();
    let read = |path: &Path| Manifest::read(&[path.to_owned()], &jiff::tz::TimeZone::UTC);
    assert!(matches!(read(&path), Err(ManifestError::NoKind { .. })));
    assert!(matches!(read(folder.path()), Err(ManifestError::Unreadable { .. })));
    assert!(matches!(read(&folder.path().join("fehlt")), Err(ManifestError::Unreadable { .. })));
}

#[test]
fn a_mistake_is_named_with_line_column_value_and_what_is_allowed() {
    let case_file = r#"{"kind":"case_file","key":"k","plan_unit":"1","unit":"1","title":"T","case_type":"A""#;
    for (line, parts) in [
        (r#"{"kind":"akte"}"#.to_owned(), ["Zeile 2", "kind", "„akte“", "case_file"]),
        (format!(r#"{case_file},"medium":"papier"}}"#), ["Zeile 2", "„medium“", "papier", "electronic"]),
        (
            format!(r#"{case_file},"begins_on":"31.02.2024"}}"#),
            ["Zeile 2", "begins_on", "31.02.2024", "01.03.2024"],
        ),
        (format!(r#"{case_file},"titel":"x"}}"#), ["Zeile 2", "titel", "gehört nicht", "„title“"]),
        (format!(r#"{case_file},"parties":["x"]}}"#), ["Zeile 2", "parties", "role", "name"]),
        (r#"{"kind":"unit","code":"1"}"#.to_owned(), ["Zeile 2", "name", "braucht", "unit"]),
        (
            r#"{"kind":"plan_unit","code":"1","title":"T","disposal":"X"}"#.to_owned(),
            ["Zeile 2", "disposal", "X", "A, B, V"],
        ),
        (
            r#"{"kind":"batch","name":"n","sheets_expected":-1}"#.to_owned(),
            ["Zeile 2", "sheets_expected", "-1", "ganze Zahl"],
        ),
        (
            r#"{"kind":"case_file","plan_unit":"1","unit":"1","title":"T","case_type":"A"}"#.to_owned(),
            ["Zeile 2", "key", "reference", "Wiederholung"],
        ),
        ("{kaputt".to_owned(), ["Zeile 2", "JSON", "m.jsonl", "Zeichen"]),
        ("[1]".to_owned(), ["Zeile 2", "JSON-Objekt", "m.jsonl", "{"]),
    ] {
        let manifest = read("m.jsonl", format!("\n{line}\n").as_bytes());
        let told = manifest.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(parts.iter().all(|part| told.contains(part)), "{line}\n{told}");
    }
}

#[test]
fn rows_that_contradict_one_another_are_problems() {
    let manifest = read(
        "m.jsonl",
        br#"{"kind":"unit","code":"1","name":"A"}
{"kind":"unit","code":"1","name":"A"}
{"kind":"unit","code":"1","name":"B"}
{"kind":"plan_unit","code":"1","title":"A","parent":"2"}
{"kind":"plan_unit","code":"2","title":"B","parent":"1"}
{"kind":"case_file","key":"k","plan_unit":"1","unit":"1","title":"T","case_type":"A"}
{"kind":"case_file","key":"k","plan_unit":"1","unit":"1","title":"U","case_type":"A"}
"#,
    );
    assert_eq!(manifest.units.len(), 1);
    let lines: Vec<u64> = manifest.problems.iter().map(|problem| problem.at.line).collect();
    assert_eq!(lines, [3, 4, 5, 7]);
}

#[test]
fn a_bad_document_row_is_its_own_files_problem_only() {
    let manifest = read(
        "m.jsonl",
        br#"{"kind":"document","path":"a.pdf"}
{"kind":"document","path":"b.pdf","document_date":"bald"}
{"kind":"document"}
{"kind":"document","path":"a.pdf"}
{"kind":"document","path":"c.pdf","batch":"fehlt"}
{"kind":"document","path":"d.pdf","sha256":"xyz"}
"#,
    );
    assert_eq!(manifest.problems, []);
    let bad: Vec<bool> = manifest.documents.iter().map(|document| !document.problems.is_empty()).collect();
    assert_eq!(bad, [false, true, true, true, true, true]);
}
