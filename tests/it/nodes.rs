//! The real program on a bucket: one node from the first command to the restored backup, and two nodes at once.

use crate::cli::{Server, code, json, stderr};
use crate::support::bucket;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A machine with a directory of its own; the originals and events lie in the bucket.
struct Node<'s> {
    server: &'s bucket::Server,
    folder: TempDir,
    store: &'static str,
}

impl<'s> Node<'s> {
    fn new(server: &'s bucket::Server, store: &'static str) -> Self {
        Self { server, folder: tempfile::tempdir().unwrap(), store }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command with the bucket's address and keys, on this node's directory and store.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.bare(args);
        command.arg("--data").arg(self.path("data")).args(["--store", self.store]);
        command
    }

    fn bare(&self, args: &[&str]) -> Command {
        let config = self.server.config();
        let mut command = Command::new(env!("CARGO_BIN_EXE_eakte"));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null()).env("RUST_BACKTRACE", "0");
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("EAKTE_")) {
            command.env_remove(name);
        }
        command
            .env("EAKTE_STORE__ENDPOINT", config.endpoint.unwrap())
            .env("EAKTE_STORE__ACCESS_KEY_ID", config.access_key_id)
            .env("EAKTE_STORE__SECRET_ACCESS_KEY", config.secret_access_key.reveal())
            .env("EAKTE_STORE__ALLOW_HTTP", "true")
            .env("EAKTE_STORE__SPOOL_DIR", self.path("spool"));
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs what must succeed; its lines.
    fn rows(&self, args: &[&str]) -> Vec<Value> {
        done(&self.run(args))
    }

    fn serve(&self) -> Server {
        let mut command = self.command(&["serve", "--json", "--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut text = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut text).unwrap();
        let ready: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"));
        Server(child, ready["url"].as_str().unwrap().to_owned())
    }

    fn write(&self, name: &str, text: &str) {
        write(&self.path(name), text);
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn done(output: &Output) -> Vec<Value> {
    assert_eq!(code(output), 0, "{}", stderr(output));
    json(output)
}

/// Size and root.
fn stand(row: &Value) -> (u64, String) {
    (row["leaves"].as_u64().unwrap(), row["root"].as_str().unwrap().to_owned())
}

#[test]
fn an_archive_in_a_bucket_is_made_filled_checked_saved_and_brought_back_by_the_program() {
    let server = bucket::Server::start();
    let node = Node::new(&server, "s3://akten/steverau");
    let absent = node.run(&["show"]);
    assert_ne!(code(&absent), 0);
    assert!(stderr(&absent).contains("kein eakte-Speicher"), "{}", stderr(&absent));
    assert!(!node.path("data").exists(), "no guess makes a place");
    assert!(done(&node.run(&["create", "--tenant", "t", "--json"]))[0]["token"].is_string());
    assert!(!node.path("data/store").exists(), "nothing of the store lies on this machine");
    let again = Node::new(&server, "s3://akten/steverau").run(&["create", "--tenant", "t"]);
    assert_eq!(code(&again), 3, "{}", stderr(&again));

    node.write("in/a.txt", "Antrag auf Wohngeld für die Lindenstraße");
    node.write("in/b.txt", "Niederschrift über die Sitzung");
    // Larger than one part of an upload.
    File::create(node.path("in/gross.bin")).unwrap().set_len(20 << 20).unwrap();
    let lines = node.rows(&["ingest", "--json", "in"]);
    assert_eq!(lines[3]["summary"]["received"], 3, "{lines:?}");
    assert_eq!(node.rows(&["ingest", "--json", "in"])[3]["summary"]["duplicate"], 3);
    let found = node.rows(&["search", "--json", "Wohngeld"]).remove(0);
    assert_eq!((found["total"].as_u64(), found["hits"][0]["source_name"].as_str()), (Some(1), Some("a.txt")));
    let id = found["hits"][0]["document_id"].as_str().unwrap();
    let content = node.run(&["show", "--content", "-", id]).stdout;
    assert_eq!(content, "Antrag auf Wohngeld für die Lindenstraße".as_bytes());
    let verified = node.rows(&["verify", "--json"]).remove(0);
    assert_eq!(verified["findings"], Value::Array(Vec::new()), "{verified}");

    // Everything on this machine can be lost.
    fs::remove_dir_all(node.path("data")).unwrap();
    let found = node.rows(&["search", "--json", "Sitzung"]).remove(0);
    assert_eq!(found["total"], 1);

    // From bucket to bucket, then into a directory.
    let saved = node.rows(&["backup", "--json", "--to", "s3://akten/sicherung"]).remove(0);
    assert_eq!(saved["complete"], true, "{saved}");
    assert_eq!(node.rows(&["backup", "--json", "--to", "s3://akten/sicherung"])[0]["copied"], 0);
    let onto = node.run(&["backup", "--json", "--to", "s3://akten/steverau"]);
    assert_eq!(code(&onto), 3, "{}", stderr(&onto));
    let restore = ["--data", "neu", "restore", "--json", "--from", "s3://akten/sicherung"];
    let back = done(&node.bare(&restore).output().unwrap()).remove(0);
    assert_eq!((&back["complete"], stand(&back)), (&true.into(), stand(&saved)));
    let found = done(&node.bare(&["--data", "neu", "search", "--json", "Lindenstraße"]).output().unwrap());
    assert_eq!(found[0]["total"], 1);
    // And from the directory into another bucket.
    let saved = done(
        &node.bare(&["--data", "neu", "backup", "--json", "--to", "s3://akten/zweite"]).output().unwrap(),
    );
    let restore =
        ["--data", "neu2", "--store", "s3://akten/umzug", "restore", "--json", "--from", "s3://akten/zweite"];
    let back = done(&node.bare(&restore).output().unwrap()).remove(0);
    assert_eq!((&back["complete"], stand(&back)), (&true.into(), stand(&saved[0])));
}

#[test]
fn a_server_that_overwrites_is_refused_with_a_sentence() {
    let server = bucket::Server::start();
    server.ignore_conditions();
    let node = Node::new(&server, "s3://akten/steverau");
    let refused = node.run(&["create", "--tenant", "t"]);
    assert_ne!(code(&refused), 0);
    assert!(stderr(&refused).contains("If-None-Match"), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("bedingten Schreibzugriffen"), "{}", stderr(&refused));
    assert!(server.requests().iter().all(|request| !request.contains("eakte.json")), "nothing was begun");
    // The directory that was made for it is no obstacle to a second try.
    let made = node.bare(&["--data", "data", "create", "--tenant", "t"]).output().unwrap();
    assert_eq!(code(&made), 0, "{}", stderr(&made));
}

/// Waits until a node finds so many documents with this word.
fn until_found(node: &Node<'_>, url: &str, word: &str, wanted: u64) {
    let begun = Instant::now();
    loop {
        let found = node.rows(&["search", "--json", "--server", url, word])[0]["total"].as_u64();
        if found == Some(wanted) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_mins(2), "{word}: {found:?} instead of {wanted}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn two_nodes_on_one_bucket_take_in_files_at_once_and_see_each_others() {
    const EACH: usize = 25;
    let server = bucket::Server::start();
    let (one, two) = (Node::new(&server, "s3://akten/kreis"), Node::new(&server, "s3://akten/kreis"));
    one.rows(&["create", "--tenant", "t", "--json"]);
    for (node, word) in [(&one, "Lindenstraße"), (&two, "Marktplatz")] {
        for number in 0..EACH {
            node.write(
                &format!("in/{word} {number}.txt"),
                &format!("Schreiben {number} aus der Gegend {word}"),
            );
        }
        // The same bytes on both sides: the same inbox, so one of them is a duplicate.
        node.write("in/beide.txt", "Rundschreiben an alle");
    }
    // The second node has only an empty directory; whoever has access to the bucket's key gets a token there.
    two.rows(&["show", "--json"]);
    let (first, second) = (one.serve(), two.serve());
    let ingest = |node: &Node<'_>, url: &str| -> Value {
        node.rows(&["ingest", "--no-wait", "--json", "--server", url, "in"]).pop().unwrap()["summary"].clone()
    };
    let (a, b) = std::thread::scope(|scope| {
        let a = scope.spawn(|| ingest(&one, &first.1));
        let b = scope.spawn(|| ingest(&two, &second.1));
        (a.join().unwrap(), b.join().unwrap())
    });
    let sum = |key: &str| a[key].as_u64().unwrap() + b[key].as_u64().unwrap();
    assert_eq!((sum("received"), sum("duplicate"), sum("rejected")), (2 * EACH as u64 + 1, 1, 0), "{a} {b}");
    for (node, url) in [(&one, &first.1), (&two, &second.1)] {
        for word in ["Lindenstraße", "Marktplatz"] {
            until_found(node, url, word, EACH as u64);
        }
        until_found(node, url, "Rundschreiben", 1);
    }
    drop((first, second));
    // What both say afterwards is the same, and true.
    let stands: BTreeSet<_> = [&one, &two]
        .iter()
        .map(|node| {
            let row = node.rows(&["verify", "--json"]).remove(0);
            assert_eq!(row["findings"], Value::Array(Vec::new()), "{row}");
            assert_eq!(node.rows(&["show", "--json"])[0]["documents"], 2 * EACH + 1);
            stand(&row)
        })
        .collect();
    assert_eq!(stands.len(), 1, "{stands:?}");
}
