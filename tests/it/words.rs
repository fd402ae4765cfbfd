//! What people are told at the terminal: in German, with a way out, and no alarm without a cause.

use crate::cli::{Server, Town, code, json, serve, stderr};
use eakte::domain::Digest;
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A server whose words are heard.
struct Heard {
    /// Ends with the test.
    server: Server,
    lines: Receiver<String>,
}

impl Heard {
    fn start(town: &Town, args: &[&str]) -> Self {
        let mut command =
            town.command(&[&["serve", "--listen", "127.0.0.1:0", "--log-level", "error"], args].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let both: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in both {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        Self { server: Server(child, String::new()), lines }
    }

    /// Waits for a line with this in it.
    fn hear(&self, part: &str) -> String {
        let mut heard = Vec::new();
        loop {
            match self.lines.recv_timeout(Duration::from_mins(2)) {
                Ok(line) if line.contains(part) => return line,
                Ok(line) => heard.push(line),
                Err(error) => panic!("{part} was not heard ({error}): {heard:#?}"),
            }
        }
    }
}

fn wait_for(path: &Path) {
    let deadline = Instant::now() + Duration::from_mins(2);
    while !path.exists() {
        assert!(Instant::now() < deadline, "{} does not appear", path.display());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_server_works_without_a_hot_folder_and_takes_it_up_once_it_is_there() {
    let town = Town::new();
    let config = "[[hot_folders]]\npath = \"eingang\"\nstable_for = \"100 ms\"\npoll_every = \"50 ms\"\n\
                  [[hot_folders]]\npath = \"anderer\"\ntenant = \"fremd\"\n";
    town.write("data/eakte.toml", config.as_bytes());
    fs::create_dir(town.path("data/anderer")).unwrap();
    let heard = Heard::start(&town, &[]);
    // The two come from threads of their own, in any order.
    let mut told = [heard.hear(""), heard.hear(""), heard.hear("")];
    told.sort_by_key(|line| line.contains("bereit"));
    assert!(told[2].contains("eakte ist bereit: http"), "{told:?}");
    let folders = told[..2].join("\n");
    for part in [
        "den Ordner gibt es nicht",
        "mkdir -p",
        "sieht immer wieder nach",
        "den Mandanten „fremd“ gibt es nicht (vorhanden: t)",
    ] {
        assert!(folders.contains(part), "{folders}");
    }
    fs::create_dir(town.path("data/eingang")).unwrap();
    heard.hear("wird jetzt beobachtet");
    town.write("data/eingang/Brief.txt", b"Sehr geehrte Damen");
    wait_for(&town.path("data/eingang/erledigt/Brief.txt"));
    drop(heard.server);
    let checked = town.run(&["config", "check"]);
    assert_eq!(code(&checked), 0, "{}", stderr(&checked));
    fs::remove_dir_all(town.path("data/eingang")).unwrap();
    let checked = town.run(&["config", "check"]);
    assert_eq!(code(&checked), 2);
    assert!(stderr(&checked).contains("mkdir -p"), "{}", stderr(&checked));
}

/// The commits of the tenant, oldest first.
fn commits(town: &Town) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in fs::read_dir(town.path("data/store/t/t/j")).unwrap().flatten() {
        found.extend(fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.path()));
    }
    found.sort();
    found
}

#[test]
fn a_server_does_not_call_itself_ready_when_its_only_tenant_does_not_open() {
    let town = Town::new();
    town.write("a.txt", b"eins");
    assert_eq!(code(&town.run(&["ingest", "--no-wait", "a.txt"])), 0);
    // A journal shorter than the catalogue has seen: the tenant is not opened.
    fs::remove_file(commits(&town).last().unwrap()).unwrap();
    let heard = Heard::start(&town, &[]);
    heard.hear("Der Mandant „t“ lässt sich nicht öffnen: ");
    heard.hear("erneut versucht");
    let line = heard.hear("kann aber mit keinem Mandanten arbeiten");
    let address = line.split("http://").nth(1).unwrap().split(',').next().unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("Kein Mandant lässt sich öffnen"), "{answer}");
    drop(heard.server);
    let heard = Heard::start(&town, &["--json"]);
    let row: Value = serde_json::from_str(&heard.hear("ready")).unwrap();
    assert_eq!((&row["ready"], &row["failed"][0]["tenant"]), (&false.into(), &"t".into()), "{row}");
}

#[test]
fn what_a_killed_run_left_over_is_one_calm_line() {
    let town = Town::new();
    for number in 0..3_u8 {
        let name = format!("o/07/01930000-0000-7000-8000-000000000007-{}", Digest::of(&[number]));
        town.write(&format!("data/store/t/t/{name}"), &[number]);
    }
    let verified = town.run(&["verify"]);
    assert_eq!(code(&verified), 0, "{}", stdout(&verified));
    let text = stdout(&verified);
    let notices: Vec<&str> = text.lines().filter(|line| line.starts_with("Hinweis")).collect();
    assert_eq!(notices.len(), 1, "{text}");
    assert!(notices[0].contains("3 Objekte") && notices[0].contains("wird aufgeräumt"), "{text}");
    let each = stdout(&town.run(&["verify", "--details"]));
    assert_eq!(each.lines().filter(|line| line.contains("unreferenced")).count(), 3, "{each}");
    let row = json(&town.run(&["verify", "--json"])).remove(0);
    assert_eq!(row["notices"].as_array().unwrap().len(), 3, "{row}");
}

#[test]
fn an_index_that_follows_later_is_no_alarm() {
    let town = Town::new();
    let fresh = stdout(&town.run(&["verify"]));
    assert!(!fresh.contains("Hinweis"), "{fresh}");
    town.write("a.txt", b"eins");
    assert_eq!(code(&town.run(&["ingest", "--no-wait", "a.txt"])), 0);
    for command in ["verify", "doctor"] {
        let text = stdout(&town.run(&[command]));
        let line = text.lines().find(|line| line.contains("Suche hat")).unwrap_or_else(|| panic!("{text}"));
        assert!(line.contains("kein Fehler"), "{text}");
        assert!(text.contains("von selbst nach") && text.contains("eakte search"), "{text}");
    }
    let found = town.run(&["search", "eins"]);
    assert!(
        stderr(&found).contains("geschieht von selbst, während „eakte serve“ läuft"),
        "{}",
        stderr(&found)
    );
    let text = stdout(&town.run(&["verify"]));
    assert!(!text.contains("Hinweis"), "{text}");
}

#[test]
fn a_missing_token_is_made_anew_and_that_is_said() {
    let town = Town::new();
    fs::remove_file(town.path("data/tokens/t")).unwrap();
    let text = stdout(&town.run(&["doctor"]));
    assert!(text.contains("das Zugangstoken fehlte hier; ein neues ist angelegt: "), "{text}");
    assert!(town.path("data/tokens/t").exists());
    let text = stdout(&town.run(&["doctor"]));
    assert!(text.contains("Zugangstoken gilt") && text.contains("(Europe/Berlin)"), "{text}");
}

#[test]
fn show_says_what_it_wrote_where_and_shows_the_time_of_the_town() {
    let town = Town::new();
    town.write("in/Wohngeld.txt", b"Bescheid");
    let lines = json(&town.run(&["ingest", "--no-wait", "--json", "in"]));
    let id = lines[0]["document_id"].as_str().unwrap();
    let written = town.run(&["show", "--content", "out.txt", id]);
    assert!(
        stderr(&written).contains("Das Original (8 Byte) steht jetzt in out.txt."),
        "{}",
        stderr(&written)
    );
    assert!(written.stdout.is_empty());
    let server = serve(&town);
    for more in [&[][..], &["--server", &server.1]] {
        for part in [&["--pdf", "x.pdf"][..], &["--content", "x"], &["--text"], &["--events"]] {
            let output = town.run(&[&["show"], part, more].concat());
            assert_eq!(code(&output), 2, "{part:?}");
            assert!(stderr(&output).contains("welches Dokument"), "{}", stderr(&output));
        }
    }
    let through = town.run(&["show", id, "--server", &server.1]);
    drop(server);
    let accepted = json(&town.run(&["show", "--json", id]))[0]["accepted_at"].as_str().unwrap().to_owned();
    assert!(accepted.ends_with('Z'), "{accepted}");
    let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    let local = accepted.parse::<jiff::Timestamp>().unwrap().to_zoned(zone);
    let local = local.strftime("%d.%m.%Y %H:%M").to_string();
    for output in [through, town.run(&["show", id]), town.run(&["show", "--events", id])] {
        assert!(stdout(&output).contains(&local), "{local}: {}", stdout(&output));
        assert!(!stdout(&output).contains(&accepted), "{}", stdout(&output));
    }
}

#[test]
fn hits_in_metadata_have_no_page_and_name_what_matched() {
    let town = Town::new();
    town.write("in/Wohngeld Bescheid.txt", b"Sehr geehrte Damen");
    town.run(&["ingest", "--no-wait", "in"]);
    let row = json(&town.run(&["search", "--json", "Wohngeld"])).remove(0);
    assert!(row["hits"][0]["page"].is_null(), "{row}");
    assert_eq!(row["hits"][0]["snippet"], "Betreff: Wohngeld Bescheid · Datei: Wohngeld Bescheid.txt");
    let text = stdout(&town.run(&["search", "Wohngeld"]));
    assert!(text.contains("Betreff: »Wohngeld« Bescheid") && !text.contains("Seite"), "{text}");
}

#[test]
fn the_operating_system_and_parsers_speak_german() {
    let town = Town::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    town.write("kaputt.toml", b"[server\n");
    town.write("falsch.toml", b"[limits]\ningest_threads = \"viele\"\n");
    town.write("kaputt.jsonl", b"{\"kind\":}\n");
    fs::create_dir(town.path("ordner")).unwrap();
    for (args, part) in [
        (&["serve", "--listen", &address][..], "dort lauscht schon ein anderes Programm"),
        (&["show", "--config", "nirgends.toml"], "(nicht vorhanden)"),
        (&["show", "--config", "kaputt.toml"], "Zeile 1, Zeichen 8: kein gültiges TOML"),
        (
            &["show", "--config", "falsch.toml"],
            "hier steht der Text „viele“; erwartet wird eine ganze Zahl ab 0.",
        ),
        (&["ingest", "nirgends"], "nirgends ist nicht da oder nicht lesbar (nicht vorhanden)."),
        (&["ingest", "--manifest", "nirgends.csv"], "nirgends.csv ist nicht lesbar (nicht vorhanden)."),
        (&["ingest", "--check", "--manifest", "kaputt.jsonl"], "Zeile 1: Zeichen 9: kein gültiges JSON"),
        (
            &["search", "x", "--server", &format!("http://{address}"), "--token-file", "nirgends"],
            "nicht lesbar (nicht vorhanden)",
        ),
        (&["search", "x", "--limit", "0"], "erlaubt ist 1 bis 1000."),
    ] {
        let output = town.run(args);
        let text = stderr(&output);
        assert_ne!(code(&output), 0, "{args:?}: {text}");
        assert!(text.contains(part), "{args:?}: {text}");
        for english in ["os error", "No such file", "in use", "invalid type", "is not in"] {
            assert!(!text.contains(english), "{args:?}: {text}");
        }
    }
}

#[test]
fn a_repeated_run_gives_its_own_reason_not_an_old_one() {
    let town = Town::new();
    let run = |args: &[&str]| {
        let lines = json(&town.run(&[&["ingest", "--no-wait", "--json"], args].concat()));
        let findings = lines[0]["findings"].as_array().unwrap().clone();
        let unfiled: Vec<String> = findings
            .iter()
            .filter(|finding| finding["code"] == "unfiled")
            .map(|finding| finding["detail"].as_str().unwrap_or_default().to_owned())
            .collect();
        (lines[0]["status"].as_str().unwrap().to_owned(), unfiled)
    };
    town.write("in/X1/a.txt", b"a");
    let by_path = ["--template", "{reference}/{name}", "in"];
    assert_eq!(run(&by_path), ("received".to_owned(), vec!["Akte „X1“ nicht gefunden".to_owned()]));
    fs::rename(town.path("in/X1"), town.path("in/X2")).unwrap();
    assert_eq!(run(&by_path), ("duplicate".to_owned(), vec!["Akte „X2“ nicht gefunden".to_owned()]));
    assert_eq!(run(&["in"]), ("duplicate".to_owned(), Vec::new()));
}

#[test]
fn every_list_is_a_batch_of_its_own_whichever_comes_first() {
    let town = Town::new();
    town.write("frame.jsonl", b"{\"kind\":\"plan_unit\",\"code\":\"1\",\"title\":\"A\",\"retention_class\":\"zehn\"}\n\
                                {\"kind\":\"plan_unit\",\"code\":\"2\",\"title\":\"B\",\"retention_class\":\"10\"}\n");
    for name in ["eins", "zwei"] {
        town.write(
            &format!("{name}.jsonl"),
            format!("{{\"kind\":\"document\",\"path\":\"{name}.txt\"}}\n").as_bytes(),
        );
        town.write(&format!("{name}.txt"), name.as_bytes());
    }
    let lists = |names: &[&str]| {
        let args = names.iter().flat_map(|name| ["--manifest", name]);
        let args: Vec<&str> = ["ingest", "--no-wait"].into_iter().chain(args).collect();
        let output = town.run(&args);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        stderr(&output)
    };
    let told = lists(&["frame.jsonl", "eins.jsonl", "zwei.jsonl"]);
    assert!(
        told.contains("Aufbewahrungsklasse „zehn“") && !told.contains("Aufbewahrungsklasse „10“"),
        "{told}"
    );
    for name in ["eins", "zwei"] {
        let batch = json(&town.run(&["show", "--json", &format!("{name}.jsonl")]));
        assert_eq!((&batch[0]["received"], &batch[0]["balance"]), (&1.into(), &"green".into()), "{name}");
    }
    assert_eq!(code(&town.run(&["show", "frame.jsonl"])), 3, "a list without documents is no batch");
    // In another company the same lists still mean the same batches.
    lists(&["zwei.jsonl", "eins.jsonl"]);
    assert_eq!(json(&town.run(&["show", "--json"]))[0]["documents"], 2);
    assert_eq!(code(&town.run(&["show", "zwei.jsonl (2)"])), 3, "nothing new, no new batch");
}
