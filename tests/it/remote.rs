//! `ingest --server` does what `ingest` at the directory itself does: same lines, same balance, nothing twice.

use crate::cli::{Town, code, json, serve, stderr};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

const LIST: &str = r#"{"kind":"unit","code":"60","name":"Bauen"}
{"kind":"plan_unit","code":"60","title":"Bauen","retention_class":"30"}
{"kind":"plan_unit","code":"60.10","title":"Baugenehmigungen","parent":"60","disposal":"B"}
{"kind":"case_file","key":"carport","plan_unit":"60.10","unit":"60","title":"Carport","case_type":"Bauakte","aliases":["III/4 b"],"protection":"tax","begins_on":"2024-03-01","parties":[{"role":"Antragstellerin","name":"Erika Beispiel"}],"fields":{"Flurstück":"12/4"}}
{"kind":"case_file","plan_unit":"60.10","unit":"60","title":"Scheune","case_type":"Bauakte","reference":"60.10-1987/3","closed_on":"1990-01-01"}
{"kind":"case_file","key":"papier","plan_unit":"60.10","unit":"60","title":"Alt","case_type":"Bauakte","medium":"paper","paper_location":"Keller 3"}
{"kind":"batch","name":"Karton 7","box_label":"7","scanner":"T3","scanned_at":"2026-03-02 08:30","sheets_expected":2}
{"kind":"document","path":"a.txt","case_file":"carport","batch":"Karton 7","title":"Antrag","document_type":"Antrag","document_date":"2024-03-01","received_on":"2024-03-02","direction":"in","origin":"scan","classification":"vs-nfd"}
{"kind":"document","path":"a.txt","case_file":"60.10-1987/3","batch":"Karton 7"}
{"kind":"document","path":"kopie.txt","case_file":"III/4 b"}
{"kind":"document","path":"b.txt","case_file":"gibt es nicht"}
{"kind":"document","path":"papier.txt","case_file":"papier"}
{"kind":"document","path":"leer.txt","case_file":"carport"}
{"kind":"document","path":"fehlt.txt"}
{"kind":"document","path":"schlecht.txt","document_date":"bald"}
{"kind":"document","path":"../draussen.txt"}
{"kind":"document","path":"falsch.txt","sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}
{"kind":"document","path":"ordner"}
"#;

fn town() -> Town {
    let town = Town::new();
    town.write("in/m.jsonl", LIST.as_bytes());
    for name in ["a", "b", "papier", "schlecht", "falsch", "nicht gelistet"] {
        town.write(&format!("in/{name}.txt"), format!("Inhalt von {name}").as_bytes());
    }
    town.write("in/kopie.txt", b"Inhalt von a");
    town.write("in/leer.txt", b"");
    town.write("draussen.txt", b"draussen");
    fs::create_dir(town.path("in/ordner")).unwrap();
    std::os::unix::fs::symlink("nichts", town.path("in/tot")).unwrap();
    town
}

/// What the lines say, but for ids, in the order of the alphabet; and the summary without its seconds and without
/// the pages, which a server may have counted meanwhile.
fn said(output: &std::process::Output) -> (BTreeSet<String>, Value) {
    let mut lines = json(output);
    let mut summary = lines.pop().map_or(Value::Null, |line| line["summary"].clone());
    if let Some(summary) = summary.as_object_mut() {
        summary.retain(|key, _| !["seconds", "pages"].contains(&&**key));
    }
    let said = lines.iter().map(|line| {
        let codes: Vec<_> =
            line["findings"].as_array().unwrap().iter().map(|f| [&f["code"], &f["detail"]]).collect();
        json!([line["path"], line["status"], line["sha256"], codes]).to_string()
    });
    (said.collect(), summary)
}

/// What is said about the batches; the folder of the test is left out of their names.
fn told(town: &Town, output: &std::process::Output) -> Vec<String> {
    let text = stderr(output).replace(town.folder.path().to_str().unwrap(), "");
    text.lines().filter(|line| line.starts_with("Charge")).map(str::to_owned).collect()
}

/// How the batches balance. What is said about counted pages is left out: a server may have read them meanwhile.
fn balances(town: &Town, output: &std::process::Output) -> Vec<String> {
    let mut lines = told(town, output);
    lines.retain(|line| line.contains(" gesehen = "));
    lines
}

/// What is recorded of a case file, but for ids and for the order in which its documents arrived.
fn case_file(town: &Town, args: &[&str], name: &str) -> Value {
    let shown = town.run(&[&["show", "--json", name], args].concat());
    let mut row = json(&shown).remove(0);
    let titles = row["documents"].as_array().unwrap().iter();
    let titles: BTreeSet<_> = titles
        .map(|d| json!([d["title"], d["document_type"], d["document_date"], d["findings"]]).to_string())
        .collect();
    let titles: Vec<_> = titles.into_iter().collect();
    let row = row.as_object_mut().unwrap();
    for id in ["case_file_id", "plan_unit", "unit"] {
        row.remove(id);
    }
    row.insert("documents".into(), titles.into());
    Value::Object(row.clone())
}

fn leaves(town: &Town, url: &str) -> Value {
    json(&town.run(&["show", "--json", "--server", url])).remove(0)["leaves"].clone()
}

#[test]
fn a_manifest_through_a_server_gives_what_it_gives_at_the_directory() {
    let (here, there) = (town(), town());
    let args = ["ingest", "--no-wait", "--json", "--manifest", "in/m.jsonl", "in"];
    let local = here.run(&args);
    let server = serve(&there);
    let through = ["--server", &server.1];
    let check = there.run(&[&args[..], &["--check"], &through].concat());
    assert_eq!(code(&check), 1, "{}", stderr(&check));
    assert_eq!(json(&check)[0]["case_files"], 3);
    let before = leaves(&there, &server.1);

    let remote = there.run(&[&args[..], &through].concat());
    assert_eq!(code(&local), 1, "{}", stderr(&local));
    assert_eq!(code(&remote), 1, "{}", stderr(&remote));
    let ((lines, summary), (expected, expected_summary)) = (said(&remote), said(&local));
    assert_eq!(lines, expected);
    assert_eq!(summary, expected_summary);
    assert_eq!(summary["failed"], Value::Null);
    assert_eq!(balances(&there, &remote), balances(&here, &local));
    assert_eq!(balances(&there, &remote).len(), 3, "{}", stderr(&remote));
    assert!(
        balances(&there, &remote).iter().all(|line| line.ends_with(": ausgeglichen")),
        "{}",
        stderr(&remote)
    );
    assert_ne!(leaves(&there, &server.1), before);
    for name in ["carport", "60.10-1987/3", "papier"] {
        assert_eq!(case_file(&there, &through, name), case_file(&here, &[], name), "{name}");
    }
    let batch = |town: &Town, args: &[&str]| {
        let mut row = json(&town.run(&[&["show", "--json", "Karton 7"], args].concat())).remove(0);
        row.as_object_mut()
            .unwrap()
            .retain(|key, _| ["name", "box_label", "scanner", "seen"].contains(&&**key));
        row
    };
    assert_eq!(batch(&there, &through), batch(&here, &[]));

    let grown = leaves(&there, &server.1);
    let (expected, repeated) = (here.run(&args), there.run(&[&args[..], &through].concat()));
    assert_eq!(said(&repeated), said(&expected));
    assert_eq!(said(&repeated).1["received"], 0);
    assert_eq!(leaves(&there, &server.1), grown, "a repetition adds nothing: {}", stderr(&repeated));

    // What is new goes into a batch of its own; what was there stays where it was.
    there.write("in/neu.txt", b"neu");
    let more = there.run(&[&args[..], &through].concat());
    assert_eq!(said(&more).1["received"], 1, "{}", stderr(&more));
    let more = balances(&there, &more);
    assert_eq!(more.len(), 1, "{more:?}");
    assert!(more[0].contains("(nicht aufgeführt) (2)“: 1 gesehen = 1 angenommen"), "{more:?}");
    assert_eq!(code(&there.run(&["verify", "--server", &server.1])), 0);
}

#[test]
fn rows_that_no_archive_understands_stop_a_manifest_before_anything_is_sent() {
    let town = Town::new();
    town.write("m.jsonl", b"{\"kind\":\"case_file\",\"key\":\"k\",\"plan_unit\":\"9\",\"unit\":\"1\",\"title\":\"T\",\"case_type\":\"A\"}\n{\"kind\":\"unit\",\"code\":\"1\",\"name\":\"A\"}\n");
    let server = serve(&town);
    let before = leaves(&town, &server.1);
    let args = ["ingest", "--json", "--manifest", "m.jsonl", "--server", &server.1];
    let refused = town.run(&args);
    assert_eq!(code(&refused), 2, "{}", stderr(&refused));
    assert!(stderr(&refused).contains("Zeile 1") && stderr(&refused).contains("„9“"), "{}", stderr(&refused));
    assert_eq!(leaves(&town, &server.1), before);
    let skipped = town.run(&[&args[..], &["--skip-invalid"]].concat());
    assert_eq!(code(&skipped), 1, "{}", stderr(&skipped));
    assert_ne!(leaves(&town, &server.1), before);
}

#[test]
fn a_path_template_through_a_server_finds_and_opens_case_files() {
    let (here, there) = (Town::new(), Town::new());
    let server = serve(&there);
    let through = ["--server", &server.1];
    for (town, args) in [(&here, &[][..]), (&there, &through[..])] {
        town.write("m.jsonl", b"{\"kind\":\"unit\",\"code\":\"60\",\"name\":\"B\"}\n{\"kind\":\"plan_unit\",\"code\":\"60.10\",\"title\":\"B\",\"retention_class\":\"30\"}\n");
        let frame = town.run(&[&["ingest", "--manifest", "m.jsonl"], args].concat());
        assert_eq!(code(&frame), 0, "{}", stderr(&frame));
        town.write("in/60.10/Carport/Antrag.txt", b"Antrag");
        town.write("in/60.10/Carport/Plan.txt", b"Plan");
        town.write("in/99/Scheune/Antrag.txt", b"Antrag auf eine Scheune");
        town.write("in/lose.txt", b"lose");
    }
    let args = ["ingest", "--no-wait", "--json", "--template", "{plan}/{title}/{name}", "in"];
    let creating = [&args[..], &["--create-case-files", "--unit", "60"]].concat();
    // Without leave to open case files, everything waits in the inbox.
    for args in [&args[..], &creating] {
        let (local, remote) = (here.run(args), there.run(&[args, &through].concat()));
        assert_eq!(code(&local), code(&remote), "{}", stderr(&remote));
        assert_eq!(said(&remote), said(&local));
        assert_eq!(balances(&there, &remote), balances(&here, &local));
    }
    let opened = case_file(&there, &through, "60.10-2026/1");
    assert_eq!(opened["title"], "Carport");
    assert_eq!(opened, case_file(&here, &[], "60.10-2026/1"));
    let grown = leaves(&there, &server.1);
    let again = there.run(&[&creating[..], &through].concat());
    assert_eq!((said(&again).1["received"].clone(), leaves(&there, &server.1)), (0.into(), grown));
}

#[test]
fn each_list_is_a_batch_and_a_count_is_for_the_first_of_its_name_through_a_server_too() {
    let (here, there) = (Town::new(), Town::new());
    let server = serve(&there);
    let through = ["--server", &server.1];
    let ingest =
        ["ingest", "--json", "--pages", "1", "--manifest", "in/1.jsonl", "--manifest", "in/2.jsonl", "in"];
    let both = |each: &dyn Fn(&Town)| {
        each(&here);
        each(&there);
        let (local, remote) = (here.run(&ingest), there.run(&[&ingest[..], &through].concat()));
        assert_eq!(code(&local), code(&remote), "{}\n{}", stderr(&local), stderr(&remote));
        assert_eq!(said(&remote), said(&local));
        assert_eq!(told(&there, &remote), told(&here, &local));
        told(&there, &remote)
    };
    let first = both(&|town| {
        town.write("in/1.jsonl", b"{\"kind\":\"document\",\"path\":\"a.txt\"}\n");
        town.write("in/2.jsonl", b"{\"kind\":\"document\",\"path\":\"b.txt\",\"case_file\":\"fehlt\"}\n");
        town.write("in/a.txt", b"Antrag");
        town.write("in/b.txt", b"Bescheid");
    });
    let said = |lines: &[String], list: &str, what: &str| {
        lines.iter().filter(|line| line.contains(&format!("/in/{list}“: {what}"))).count()
    };
    for list in ["1.jsonl", "2.jsonl"] {
        assert_eq!(said(&first, list, "1 gesehen"), 1, "{first:?}");
        assert_eq!(said(&first, list, "gezählt 1 Seite"), 1, "{first:?}");
    }
    let second = both(&|town| {
        town.write(
            "in/1.jsonl",
            b"{\"kind\":\"document\",\"path\":\"a.txt\"}\n{\"kind\":\"document\",\"path\":\"c.txt\"}\n",
        );
        town.write("in/c.txt", b"Nachtrag");
    });
    assert_eq!(
        second.len(),
        1,
        "what was new is one batch, and its pages are not held against the box: {second:?}"
    );
    assert_eq!(said(&second, "1.jsonl (2)", "1 gesehen"), 1, "{second:?}");
}
