//! The real binary: exit codes, fields on stdout, sentences on stderr.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// A directory with an archive in `data`, worked on by the real program.
pub struct Town {
    pub folder: TempDir,
}

impl Town {
    pub fn new() -> Self {
        let town = Self { folder: tempfile::tempdir().unwrap() };
        let made = town.run(&["create", "--tenant", "t", "--json"]);
        assert_eq!(code(&made), 0, "{}", stderr(&made));
        town
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        File::create(&path).unwrap().write_all(bytes).unwrap();
        path
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_eakte"));
        command.arg("--data").arg(self.path("data")).args(args).current_dir(self.folder.path());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("EAKTE_")) {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).env("RUST_BACKTRACE", "0");
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn ingest(&self, args: &[&str]) -> (Output, Vec<Value>, Value) {
        let output = self.run(&[&["ingest", "--no-wait", "--json"], args].concat());
        let mut lines = json(&output);
        let summary = lines.pop().map_or(Value::Null, |line| line["summary"].clone());
        (output, lines, summary)
    }
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn json(output: &Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn line<'a>(lines: &'a [Value], ending: &str) -> &'a Value {
    lines.iter().find(|line| line["path"].as_str().unwrap().ends_with(ending)).unwrap()
}

#[test]
fn create_makes_a_tenant_and_refuses_a_place_that_is_taken() {
    let town = Town { folder: tempfile::tempdir().unwrap() };
    fs::create_dir(town.path("data")).unwrap();
    town.write("data/eakte.toml", b"[limits]\nmax_file_bytes = \"1 MiB\"\n");
    let made = town.run(&["create", "--tenant", "t", "--json"]);
    assert_eq!(code(&made), 0, "{}", stderr(&made));
    let row = &json(&made)[0];
    assert_eq!(keys(row), BTreeSet::from(["tenant", "token"]));
    assert!(row["token"].as_str().unwrap().starts_with("eakte_t_"));
    let again = town.run(&["create", "--tenant", "t"]);
    assert_eq!(code(&again), 3);
    assert!(stderr(&again).contains("nicht leer"), "{}", stderr(&again));
    assert_eq!(code(&town.run(&["create", "--tenant", "u", "--add"])), 0);
    assert_eq!(code(&town.run(&["create", "--tenant", "u", "--add"])), 3);
    let unclear = town.run(&["search", "x"]);
    assert_eq!(code(&unclear), 2);
    assert!(stderr(&unclear).contains("t, u"));
}

#[test]
fn a_command_line_that_makes_no_sense_is_told_in_german() {
    let town = Town::new();
    for (args, part) in [
        (&["suche"][..], "Den Befehl „suche“ gibt es nicht"),
        (&["ingest"], "Es fehlt"),
        (&["ingest", "nirgends"], "nirgends ist nicht da"),
        (&["doctor", "--jsn"], "--json"),
        (&["verify", "--expect", "x"], "--expect"),
        (&["ingest", "--template", "{x}", "."], "kein Platzhalter"),
        (&["ingest", "--check", "."], "--manifest"),
    ] {
        let output = town.run(args);
        assert_eq!(code(&output), 2, "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(part), "{args:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
    let missing = town.run(&["--tenant", "x", "search", "y"]);
    assert_eq!(code(&missing), 3);
    let nowhere = town.command(&["search", "y"]).arg("--data").arg(town.path("nichts")).output().unwrap();
    assert_ne!(code(&nowhere), 0);
    assert!(!town.path("nichts").exists(), "no guess creates an archive");
}

#[test]
fn ingest_prints_a_line_a_file_and_a_summary_with_exactly_the_promised_fields() {
    let town = Town::new();
    town.write("in/a.txt", b"Antrag");
    town.write("in/sub/kopie.txt", b"Antrag");
    town.write("in/leer.txt", b"");
    let (output, lines, summary) = town.ingest(&["in"]);
    assert_eq!(code(&output), 1, "one file was rejected");
    let fields =
        ["bytes", "document_id", "findings", "pages", "path", "position", "searchable", "sha256", "status"];
    for line in &lines {
        assert_eq!(keys(line), BTreeSet::from(fields));
    }
    assert_eq!(
        keys(&summary),
        BTreeSet::from(["duplicate", "files", "pages", "received", "rejected", "seconds"])
    );
    let counts = ["files", "received", "duplicate", "rejected"].map(|key| summary[key].as_u64().unwrap());
    assert_eq!(counts, [3, 1, 1, 1]);
    let empty = line(&lines, "leer.txt");
    assert_eq!((empty["status"].as_str(), empty["document_id"].is_null()), (Some("rejected"), true));
    assert_eq!(empty["findings"][0]["code"], "empty");
    assert!(stderr(&output).contains("3 gesehen = 1 angenommen + 1 doppelt + 1 abgelehnt: ausgeglichen"));

    let (again, lines, summary) = town.ingest(&["in"]);
    assert_eq!(code(&again), 1);
    assert_eq!(summary["received"], 0);
    assert_eq!(line(&lines, "a.txt")["status"], "duplicate");
    assert_eq!(json(&town.run(&["show", "--json"]))[0]["documents"], 1);
}

#[test]
fn bad_input_is_rejected_with_a_reason_and_never_stops_the_rest() {
    let town = Town::new();
    town.write("data/eakte.toml", b"[limits]\nmax_file_bytes = \"3 GB\"\n");
    town.write("in/gut.txt", b"gut");
    town.write("in/zeilen\numbruch.txt", b"1");
    town.write("in/Übergröße ß.txt", b"2");
    town.write("in/%2e%2e%2fx.txt", b"3");
    town.write(&format!("in/{}.txt", "n".repeat(250)), b"4");
    town.write("in/leer.bin", b"");
    File::create(town.path("in/2gb.bin")).unwrap().set_len(2 << 30).unwrap();
    File::create(town.path("in/4gb.bin")).unwrap().set_len(4 << 30).unwrap();
    std::os::unix::fs::symlink(town.path("in"), town.path("in/kreis")).unwrap();
    std::os::unix::fs::symlink("nichts", town.path("in/tot")).unwrap();
    let made = Command::new("mkfifo").arg(town.path("in/rohr")).status().unwrap();
    assert!(made.success());
    let (output, lines, summary) = town.ingest(&["in"]);
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    for (name, reason) in [
        ("leer.bin", "empty"),
        ("4gb.bin", "too-large"),
        ("kreis", "link"),
        ("tot", "link"),
        ("rohr", "not-a-file"),
    ] {
        let line = line(&lines, name);
        assert_eq!(line["status"], "rejected", "{line}");
        assert_eq!(line["findings"][0]["code"], reason, "{line}");
    }
    for name in ["gut.txt", "umbruch.txt", "Übergröße ß.txt", "%2e%2e%2fx.txt", "n.txt", "2gb.bin"] {
        assert_eq!(line(&lines, name)["status"], "received", "{name}");
    }
    assert_eq!(line(&lines, "2gb.bin")["bytes"], 2_u64 << 30);
    assert_eq!((summary["files"].as_u64(), summary["rejected"].as_u64()), (Some(11), Some(5)));
    let shown = town.run(&["show", "--json", line(&lines, "umbruch.txt")["document_id"].as_str().unwrap()]);
    assert_eq!(json(&shown)[0]["source_name"], "zeilen␊umbruch.txt");
}

#[test]
fn a_file_that_grows_while_it_is_read_is_not_stored_half() {
    let town = Town::new();
    let path = town.write("in/wachsend.txt", b"x");
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (flag, growing) = (stop.clone(), path.clone());
    let writer = std::thread::spawn(move || {
        let mut file = fs::OpenOptions::new().append(true).open(growing).unwrap();
        let chunk = vec![b'x'; 64 * 1024];
        let mut written = 0;
        while !flag.load(std::sync::atomic::Ordering::Acquire) && written < 256 << 20 {
            file.write_all(&chunk).unwrap();
            written += chunk.len();
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
    });
    std::thread::sleep(std::time::Duration::from_millis(100));
    let (_, lines, _) = town.ingest(&["in"]);
    stop.store(true, std::sync::atomic::Ordering::Release);
    writer.join().unwrap();
    let line = line(&lines, "wachsend.txt");
    // The writer may have paused for the whole read; then the file was whole at that moment.
    if line["status"] == "rejected" {
        assert_eq!(line["findings"][0]["code"], "changed-while-reading");
    } else {
        assert!(line["bytes"].as_u64().unwrap() <= fs::metadata(path).unwrap().len());
    }
    assert_eq!(code(&town.run(&["verify"])), 0);
}

#[test]
fn a_run_that_was_killed_is_repeated_without_doubling() {
    let town = Town::new();
    for number in 0..300 {
        town.write(&format!("in/{number:03}.txt"), format!("Brief {number}").as_bytes());
    }
    let mut child: Child = town
        .command(&["ingest", "--no-wait", "--json", "in"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut acknowledged = BTreeSet::new();
    for text in BufReader::new(child.stdout.take().unwrap()).lines().take(20) {
        let line: Value = serde_json::from_str(&text.unwrap()).unwrap();
        acknowledged.insert(line["document_id"].as_str().unwrap().to_owned());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let (output, lines, summary) = town.ingest(&["in"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(summary["files"], 300);
    assert!(summary["duplicate"].as_u64().unwrap() >= 20);
    let now: BTreeSet<String> =
        lines.iter().map(|line| line["document_id"].as_str().unwrap().to_owned()).collect();
    assert!(acknowledged.is_subset(&now), "what was acknowledged is there");
    assert_eq!(json(&town.run(&["show", "--json"]))[0]["documents"], 300);
    let verified = town.run(&["verify", "--json"]);
    assert_eq!(code(&verified), 0);
    let row = &json(&verified)[0];
    assert_eq!(
        keys(row),
        BTreeSet::from(["bytes", "commits", "findings", "leaves", "notices", "objects", "root"])
    );
    assert_eq!(row["findings"], Value::Array(Vec::new()));
    let batch = json(&town.run(&["show", "--json", "in"]));
    assert_eq!((batch[0]["balance"].as_str(), batch[0]["seen"].as_u64()), (Some("green"), Some(300)));
}

#[test]
fn a_template_files_by_path_and_opens_case_files_when_told() {
    let town = Town::new();
    let frame = "{\"kind\":\"unit\",\"code\":\"60\",\"name\":\"Bauen\"}\n\
                 {\"kind\":\"plan_unit\",\"code\":\"60.10\",\"title\":\"Bau\",\"retention_class\":\"30\"}\n\
                 {\"kind\":\"case_file\",\"reference\":\"60.10-2024/17\",\"plan_unit\":\"60.10\",\"unit\":\"60\",\
                 \"title\":\"Carport\",\"case_type\":\"Bauakte\"}\n";
    town.write("m.jsonl", frame.as_bytes());
    assert_eq!(code(&town.run(&["ingest", "--no-wait", "--manifest", "m.jsonl"])), 0);
    town.write("in/60.10-2024_17/a.txt", b"a");
    town.write("in/60.10-2024_99/b.txt", b"b");
    let (output, lines, _) = town.ingest(&["--template", "{reference}/{name}", "in"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let show = |id: &Value| json(&town.run(&["show", "--json", id.as_str().unwrap()])).remove(0);
    assert_eq!(show(&line(&lines, "a.txt")["document_id"])["file_reference"], "60.10-2024/17");
    let inbox = show(&line(&lines, "b.txt")["document_id"]);
    assert!(inbox["file_reference"].is_null());
    let findings = inbox["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["code"] == "unfiled"), "{inbox}");

    town.write("neu/60.10/2025/Garage Ost/c.txt", b"c");
    let create = ["--template", "{plan}/{year}/{title}/{name}", "--create-case-files", "--unit", "60", "neu"];
    let (output, lines, _) = town.ingest(&create);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(show(&line(&lines, "c.txt")["document_id"])["file_reference"], "60.10-2025/1");
    town.ingest(&create);
    let file = json(&town.run(&["show", "--json", "60.10-2025/1"])).remove(0);
    assert_eq!(file["documents"].as_array().unwrap().len(), 1, "repeating adds nothing");
    assert!(json(&town.run(&["show", "--json"]))[0]["case_files"] == 2);
}

#[test]
fn documents_are_found_shown_and_downloaded_whole() {
    let town = Town::new();
    town.write("in/Wohngeld Bescheid.txt", b"Sehr geehrte Damen");
    let (_, lines, _) = town.ingest(&["in"]);
    let id = lines[0]["document_id"].as_str().unwrap();
    let found = town.run(&["search", "--json", "--limit", "10", "Wohngeld"]);
    let row = json(&found).remove(0);
    assert_eq!(keys(&row), BTreeSet::from(["hits", "total"]));
    assert_eq!(row["total"], 1, "{row}");
    let hit = ["document_id", "file_reference", "page", "score", "snippet", "source_name", "title"];
    assert_eq!(keys(&row["hits"][0]), BTreeSet::from(hit));
    assert_eq!(row["hits"][0]["document_id"], id);
    assert_eq!(code(&town.run(&["show", "--content", "out.txt", id])), 0);
    assert_eq!(fs::read(town.path("out.txt")).unwrap(), b"Sehr geehrte Damen");
    assert_eq!(code(&town.run(&["show", "--content", "out.txt", id])), 3, "nothing is overwritten");
    assert_eq!(town.run(&["show", "--content", "-", id]).stdout, b"Sehr geehrte Damen");
    let by_digest = town.run(&["show", "--json", lines[0]["sha256"].as_str().unwrap()]);
    assert_eq!(json(&by_digest)[0]["document_id"], id);
    let events = json(&town.run(&["show", "--json", "--events", id]));
    assert_eq!(events[0]["kind"], "document.received");
    assert_eq!(code(&town.run(&["show", "gibtsnicht"])), 3);

    let object = find_object(&town.path("data/store"), b"Sehr geehrte Damen").unwrap();
    let mut permissions = fs::metadata(&object).unwrap().permissions();
    #[allow(clippy::permissions_set_readonly_false)]
    permissions.set_readonly(false);
    fs::set_permissions(&object, permissions).unwrap();
    File::create(&object).unwrap().write_all(b"Sehr geehrte Samen").unwrap();
    let damaged = town.run(&["show", "--content", "kaputt.txt", id]);
    assert_eq!(code(&damaged), 1, "{}", stderr(&damaged));
    assert!(!town.path("kaputt.txt").exists());
    let verified = town.run(&["verify", "--json"]);
    assert_eq!(code(&verified), 1);
    assert!(!json(&verified)[0]["findings"].as_array().unwrap().is_empty());
}

fn find_object(folder: &Path, bytes: &[u8]) -> Option<PathBuf> {
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if let Some(found) = find_object(&path, bytes) {
                return Some(found);
            }
        } else if fs::read(&path).is_ok_and(|found| found == bytes) {
            return Some(path);
        }
    }
    None
}

#[test]
fn an_unknown_key_is_an_error_that_names_it_and_its_file() {
    let town = Town::new();
    town.write("data/eakte.toml", b"[server]\nlisten_on = \"127.0.0.1:1\"\n");
    for command in [&["config", "check"][..], &["search", "x"]] {
        let output = town.run(command);
        assert_eq!(code(&output), 2);
        let text = stderr(&output);
        for part in ["server.listen_on", "eakte.toml", "server.listen"] {
            assert!(text.contains(part), "{text}");
        }
    }
    fs::remove_file(town.path("data/eakte.toml")).unwrap();
    let wrong = town.command(&["config", "check"]).env("EAKTE_SERVER__LISTN", "x").output().unwrap();
    assert_eq!(code(&wrong), 2, "{}", stderr(&wrong));
    let set = town
        .command(&["config", "print", "--json"])
        .env("EAKTE_SERVER__LISTEN", "127.0.0.1:7")
        .output()
        .unwrap();
    let listen = json(&set).into_iter().find(|line| line["key"] == "server.listen").unwrap();
    assert_eq!(
        (listen["value"].as_str(), listen["origin"].as_str()),
        (Some("127.0.0.1:7"), Some("Umgebung"))
    );
    let secret =
        town.command(&["config", "print"]).env("EAKTE_STORE__SECRET_ACCESS_KEY", "geheim").output().unwrap();
    assert!(!String::from_utf8_lossy(&secret.stdout).contains("geheim"));
}

/// A server that ends with the test, and where it listens.
pub struct Server(pub Child, pub String);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn serve(town: &Town) -> Server {
    let mut child = town
        .command(&["serve", "--json", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut text = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut text).unwrap();
    let ready: Value = serde_json::from_str(&text).unwrap();
    Server(child, ready["url"].as_str().unwrap().to_owned())
}

#[test]
fn while_a_server_holds_the_directory_the_same_commands_work_through_it() {
    let town = Town::new();
    town.write("in/Wohngeld.txt", b"Bescheid");
    town.write("in/leer.txt", b"");
    let server = serve(&town);
    let held = town.run(&["search", "x"]);
    assert_eq!(code(&held), 4);
    assert!(stderr(&held).contains(&format!("--server {}", server.1)), "{}", stderr(&held));

    let (output, lines, summary) = town.ingest(&["--server", &server.1, "in"]);
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    assert_eq!((summary["received"].as_u64(), summary["rejected"].as_u64()), (Some(1), Some(1)));
    assert_eq!(line(&lines, "leer.txt")["findings"][0]["code"], "empty");
    let id = line(&lines, "Wohngeld.txt")["document_id"].as_str().unwrap().to_owned();
    let (_, lines, summary) = town.ingest(&["--server", &server.1, "in"]);
    assert_eq!(summary["received"], 0);
    assert_eq!(line(&lines, "Wohngeld.txt")["status"], "duplicate");
    let shown = town.run(&["show", "--server", &server.1, "--json", &id]);
    assert_eq!(json(&shown)[0]["document_id"], id.as_str(), "{}", stderr(&shown));
    assert_eq!(town.run(&["show", "--server", &server.1, "--content", "-", &id]).stdout, b"Bescheid");
    let verified = town.run(&["verify", "--server", &server.1, "--json"]);
    assert_eq!(code(&verified), 0, "{}", stderr(&verified));
    assert_eq!(json(&verified)[0]["findings"], Value::Array(Vec::new()));
    let wrong =
        town.command(&["verify", "--server", &server.1]).env("EAKTE_TOKEN", "eakte_t_00").output().unwrap();
    assert_eq!(code(&wrong), 3, "{}", stderr(&wrong));
    drop(server);
    assert_eq!(json(&town.run(&["search", "--json", "Wohngeld"]))[0]["total"], 1);
}

#[test]
fn a_backup_is_restored_elsewhere_and_doctor_says_what_is_to_be_done() {
    let town = Town::new();
    town.write("in/a.txt", b"a");
    town.ingest(&["in"]);
    assert_eq!(code(&town.run(&["backup", "--to", "sicherung"])), 0);
    let restored = town.run(&["--data", "neu", "restore", "--from", "sicherung"]);
    assert_eq!(code(&restored), 2, "--data twice is a mistake");
    let mut command = Command::new(env!("CARGO_BIN_EXE_eakte"));
    command.current_dir(town.folder.path()).args([
        "--data",
        "neu",
        "restore",
        "--json",
        "--from",
        "sicherung",
    ]);
    let restored = command.output().unwrap();
    assert_eq!(code(&restored), 0, "{}", stderr(&restored));
    assert_eq!(json(&restored)[0]["complete"], true);
    let doctor = town.run(&["doctor", "--json"]);
    let lines = json(&doctor);
    assert!(lines.iter().all(|line| keys(line) == BTreeSet::from(["check", "detail", "level", "remedy"])));
    fs::set_permissions(town.path("data/tokens/t"), fs::Permissions::from_mode(0o644)).unwrap();
    let doctor = town.run(&["doctor"]);
    assert_eq!(code(&doctor), 1);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("chmod go-rwx"));
}

#[test]
fn a_reader_that_goes_away_is_no_fault() {
    let town = Town::new();
    let mut child =
        town.command(&["config", "example"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(output.stderr.is_empty(), "{}", stderr(&output));
}

#[test]
fn ingest_waits_until_every_file_is_searchable() {
    let town = Town::new();
    town.write("in/a.txt", "Antrag auf Wohngeld für die Lindenstraße".as_bytes());
    town.write("in/b.bin", &[0, 159, 146, 150, 255]);
    let output = town.run(&["ingest", "--json", "in"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let lines = json(&output);
    assert_eq!(lines.len(), 3);
    let text = line(&lines[..2], "a.txt");
    assert_eq!((text["searchable"].as_bool(), text["pages"].as_u64()), (Some(true), Some(1)));
    let other = line(&lines[..2], "b.bin");
    assert_eq!(other["searchable"], true);
    assert!(!other["findings"].as_array().unwrap().is_empty(), "{other}");
    assert_eq!(json(&town.run(&["search", "--json", "Wohngeld"]))[0]["total"], 1);
    let shown = town.run(&["show", "--text", text["document_id"].as_str().unwrap()]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("Lindenstraße"), "{}", stderr(&shown));
}

#[test]
fn the_demonstration_makes_its_town_once_and_leaves_foreign_directories_alone() {
    let town = Town { folder: tempfile::tempdir().unwrap() };
    let list = "{\"kind\":\"unit\",\"code\":\"1\",\"name\":\"A\"}\n\
                {\"kind\":\"plan_unit\",\"code\":\"1\",\"title\":\"A\",\"retention_class\":\"10\"}\n\
                {\"kind\":\"case_file\",\"key\":\"k\",\"plan_unit\":\"1\",\"unit\":\"1\",\"title\":\"T\",\"case_type\":\"A\"}\n\
                {\"kind\":\"document\",\"path\":\"a.txt\",\"case_file\":\"k\"}\n";
    town.write("stadt/manifest.jsonl", list.as_bytes());
    town.write("stadt/a.txt", b"Niederschrift");
    let demo = ["demo", "--no-serve", "--json", "--fixtures", "stadt"];
    let first = town.run(&demo);
    assert_eq!(code(&first), 0, "{}", stderr(&first));
    let row = json(&first).remove(0);
    assert_eq!((row["received"].as_u64(), row["searchable"].as_u64()), (Some(1), Some(1)), "{row}");
    assert!(row["first_searchable_seconds"].is_number());
    let again = json(&town.run(&demo)).remove(0);
    assert_eq!((again["received"].as_u64(), again["searchable"].as_u64()), (Some(0), Some(1)));
    town.write("fremd/wichtig.txt", b"x");
    let mut command = Command::new(env!("CARGO_BIN_EXE_eakte"));
    command.current_dir(town.folder.path()).args(["--data", "fremd"]).args(demo);
    let refused = command.output().unwrap();
    assert_eq!(code(&refused), 3, "{}", stderr(&refused));
    assert_eq!(fs::read_dir(town.path("fremd")).unwrap().count(), 1);
}

#[test]
fn a_batch_that_does_not_balance_is_red_wherever_it_is_shown() {
    let town = Town::new();
    let server = serve(&town);
    let token = fs::read_to_string(town.path("data/tokens/t")).unwrap();
    let client = eakte::client::Client::new(&server.1, &token).unwrap();
    let asked = eakte::api::rows::BatchOpening {
        name: "rot".into(),
        source: None,
        box_label: None,
        person: None,
        station: None,
        scanner: None,
        profile: None,
        scanned_at: None,
        procedure_version: None,
        sheets_expected: None,
        pages_expected: None,
        anomalies: Vec::new(),
    };
    let batch = client.open_batch(&asked).unwrap();
    client.close_batch(&batch.id, 2).unwrap();
    drop(server);
    let shown = json(&town.run(&["show", "--json", "rot"])).remove(0);
    assert_eq!((shown["balance"].as_str(), shown["seen"].as_u64()), (Some("red"), Some(2)));
    let doctor = town.run(&["doctor"]);
    assert_eq!(code(&doctor), 1);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains(&batch.id));
}
