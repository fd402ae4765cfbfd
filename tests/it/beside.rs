//! What works beside a running server: a backup of the directory that it holds.

use crate::cli::{Town, code, json, serve, stderr};
use serde_json::Value;
use std::process::{Command, Output};

/// Files that arrive while the backups are taken.
const FILES: usize = 400;

/// Runs the program on another directory.
fn elsewhere(town: &Town, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_eakte")).args(args).current_dir(town.folder.path()).output().unwrap()
}

fn row(output: &Output) -> Value {
    assert_eq!(code(output), 0, "{}", stderr(output));
    json(output).remove(0)
}

/// What a backup or a check says about size and root.
fn stand(row: &Value) -> (u64, String) {
    (row["leaves"].as_u64().unwrap(), row["root"].as_str().unwrap().to_owned())
}

#[test]
fn a_backup_beside_a_server_that_takes_in_files_is_whole_and_comes_back_with_its_root() {
    let town = Town::new();
    for number in 0..FILES {
        town.write(&format!("in/{number}.txt"), format!("Schreiben Nummer {number}").as_bytes());
    }
    let server = serve(&town);
    let mut ingest = town.command(&["ingest", "--no-wait", "--json", "--server", &server.1, "in"]);
    let mut ingest =
        ingest.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let (mut rounds, mut amid, mut last) = (0, 0, (0, String::new()));
    loop {
        let is_over = ingest.try_wait().unwrap();
        let saved = row(&town.run(&["backup", "--json", "--to", "sicherung"]));
        assert_eq!((&saved["complete"], &saved["findings"]), (&true.into(), &Value::Array(Vec::new())));
        let (leaves, root) = stand(&saved);
        assert!(leaves >= last.0, "a backup never gets shorter");
        last = (leaves, root.clone());
        // The first ones, and the last one, which is taken after everything is in.
        if rounds < 2 || is_over.is_some() {
            let place = format!("neu{rounds}");
            let back =
                row(&elsewhere(&town, &["--data", &place, "restore", "--json", "--from", "sicherung"]));
            assert_eq!((back["complete"].as_bool(), stand(&back)), (Some(true), (leaves, root)));
        }
        rounds += 1;
        amid += usize::from(is_over.is_none());
        if let Some(status) = is_over {
            assert!(status.success());
            break;
        }
    }
    println!("{rounds} backups, {amid} of them begun while files arrived");
    assert!(amid > 0, "no backup met the running ingest");
    assert!(last.0 >= FILES as u64);
    // Nothing of it has disturbed the server, whose history goes on from what was saved.
    let (size, root) = last;
    let expect = format!("{size}:{root}");
    let verified = row(&town.run(&["verify", "--json", "--server", &server.1, "--expect", &expect]));
    assert_eq!(verified["findings"], Value::Array(Vec::new()));
    drop(server);
    assert_eq!(row(&town.run(&["show", "--json"]))["documents"], FILES);
}
