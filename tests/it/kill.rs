//! `kill -9` over a running ingest, again and again, by the real program: nothing acknowledged is lost, nothing is
//! there twice. `EAKTE_KILLS=1000` kills more often, `EAKTE_SEED=7` replays the moments (as far as a machine can).

use crate::support::chance::{Chance, from_env};
use crate::support::{FixedClock, settings, tenant};
use eakte::archive::{Installation, Place};
use eakte::clock::SystemEntropy;
use eakte::domain::batch::Balance;
use eakte::domain::{Digest, DocumentId};
use eakte::verify::VerifyOptions;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Files of one run; small, so that a run is over in a second or two and a kill hits its middle.
const FILES: usize = 120;
/// After so many sources everything is run to its end and looked at.
const ROUND: usize = 10;

fn program(command: &str, data: &Path) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_eakte"));
    program.arg(command).arg("--data").arg(data).args(["--tenant", "t", "--json"]);
    program.stdin(Stdio::null()).stderr(Stdio::null());
    program
}

/// What has been said so far.
#[derive(Default)]
struct Told {
    /// Acknowledged documents.
    accepted: BTreeMap<DocumentId, Digest>,
    /// Bytes of all files that were ever offered.
    offered: BTreeSet<Digest>,
}

impl Told {
    /// Takes a whole line of the program's output; the number of files it speaks of.
    fn line(&mut self, line: &str) -> usize {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let Some(status) = value["status"].as_str() else { return 0 };
        assert!(matches!(status, "received" | "duplicate"), "{line}");
        let id: DocumentId = value["document_id"].as_str().unwrap().parse().unwrap();
        let sha256: Digest = value["sha256"].as_str().unwrap().parse().unwrap();
        assert!(self.offered.contains(&sha256), "{line}");
        let known = self.accepted.insert(id, sha256);
        assert!(known.is_none_or(|known| known == sha256), "{line}");
        1
    }
}

/// Writes the files of one run.
fn papers(folder: &Path, chance: &mut Chance, told: &mut Told) {
    for at in 0..FILES {
        let folder = folder.join(format!("Mappe {}", at % 5));
        std::fs::create_dir_all(&folder).unwrap();
        let mut text = format!("Schreiben {:x}\n", chance.next());
        for _ in 0..chance.below(900) {
            text.push_str(chance.pick(&["Bescheid ", "Antrag ", "Straße ", "Gebühr\n", "über "]).unwrap());
        }
        std::fs::File::create(folder.join(format!("{at}.txt"))).unwrap().write_all(text.as_bytes()).unwrap();
        told.offered.insert(Digest::of(text.as_bytes()));
    }
}

/// When a run is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// So long after its start.
    After(Duration),
    /// So long after it has spoken of so many files.
    Line(usize, Duration),
    Never,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ended {
    files: usize,
    was_killed: bool,
}

/// Runs an ingest and kills it at its moment.
fn ingest(data: &Path, source: &Path, moment: Moment, told: &mut Told) -> Ended {
    let mut child =
        program("ingest", data).arg("--no-wait").arg(source).stdout(Stdio::piped()).spawn().unwrap();
    let output = child.stdout.take().unwrap();
    let (sender, lines) = channel();
    let reader = std::thread::spawn(move || {
        let mut output = BufReader::new(output);
        loop {
            let mut line = Vec::new();
            // A line without its end was cut off by the kill: nobody could rely on it.
            if output.read_until(b'\n', &mut line).unwrap_or(0) == 0 || line.pop() != Some(b'\n') {
                break;
            }
            if sender.send(String::from_utf8(line).unwrap()).is_err() {
                break;
            }
        }
    });
    let started = Instant::now();
    let mut files = 0;
    let mut deadline = match moment {
        Moment::After(time) | Moment::Line(0, time) => Some(started + time),
        _ => None,
    };
    let limit = started + Duration::from_mins(5);
    let (mut was_killed, mut is_over) = (false, false);
    loop {
        let until = deadline.unwrap_or(limit).min(limit);
        match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                files += told.line(&line);
                if let Moment::Line(wanted, time) = moment
                    && deadline.is_none()
                    && !is_over
                    && files >= wanted
                {
                    deadline = Some(Instant::now() + time);
                }
            }
            Err(RecvTimeoutError::Timeout) if is_over => panic!("a killed program still writes"),
            Err(RecvTimeoutError::Timeout) => {
                assert!(deadline.is_some(), "an ingest of {FILES} small files took five minutes");
                was_killed = matches!(child.try_wait(), Ok(None));
                child.kill().unwrap();
                (deadline, is_over) = (None, true);
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let status = child.wait().unwrap();
    reader.join().unwrap();
    assert!(was_killed || status.success(), "the ingest ended with {status}");
    Ended { files, was_killed: was_killed && !status.success() }
}

/// Everything that was told is true, and nothing else is there.
fn check(data: &Path, told: &Told, runs: usize) {
    let clock = Arc::new(FixedClock("2026-03-02T08:00:00Z".parse().unwrap()));
    let installation =
        Installation::open(Place::directory(data), settings(false), clock, Arc::new(SystemEntropy)).unwrap();
    let archive = installation.archive(&tenant()).unwrap();
    let catalogue = archive.catalogue();
    assert_eq!(
        catalogue.summary().unwrap().documents,
        told.offered.len() as u64,
        "documents and files differ"
    );
    for (id, sha256) in &told.accepted {
        let row =
            catalogue.document(*id).unwrap().unwrap_or_else(|| panic!("{id} was acknowledged and is lost"));
        assert_eq!(row.versions[0].original.sha256, *sha256, "{id}");
    }
    for sha256 in &told.offered {
        assert_eq!(catalogue.documents_by_digest(sha256).unwrap().len(), 1, "{sha256}");
    }
    let (mut batches, mut from) = (0, None);
    loop {
        let page = catalogue.batches(from.as_ref(), 100).unwrap();
        for (id, row) in &page.items {
            assert_eq!(row.state(*id).balance(), Balance::Green, "{row:?}");
            batches += 1;
        }
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!(batches, runs, "every source is one batch");
    let report = installation.verify(&tenant(), &VerifyOptions::default(), &|_| {}).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

#[test]
fn an_ingest_that_is_killed_again_and_again_loses_nothing_and_doubles_nothing() {
    let kills = usize::try_from(from_env("EAKTE_KILLS").unwrap_or(200)).unwrap();
    let seed = from_env("EAKTE_SEED").unwrap_or(1);
    println!("kill: {kills} kills, seed {seed}");
    let mut chance = Chance::new(seed);
    let scratch = tempfile::tempdir().unwrap();
    let data = scratch.path().join("data");
    let created = program("create", &data).output().unwrap();
    assert!(created.status.success(), "{created:?}");
    let mut told = Told::default();
    let source = |number: usize| -> PathBuf { scratch.path().join(format!("Karton {number}")) };

    // How long does a run take here and now?
    papers(&source(0), &mut chance, &mut told);
    let started = Instant::now();
    assert_eq!(
        ingest(&data, &source(0), Moment::Never, &mut told),
        Ended { files: FILES, was_killed: false }
    );
    let usual = started.elapsed();
    let (mut done, mut amid, mut killed, mut sources) = (0, 0, 0, 1);
    while killed < kills {
        assert!(done < kills * 4 + 20, "only {killed} of {done} kills hit a running program");
        let first = sources;
        while killed < kills && sources - first < ROUND {
            let folder = source(sources);
            papers(&folder, &mut chance, &mut told);
            sources += 1;
            // A source is killed up to three times: also resuming is interrupted.
            for _ in 0..=chance.below(3) {
                let jitter = Duration::from_micros(chance.next() % 4_000);
                let moment = if chance.permille(400) {
                    Moment::After(Duration::from_micros(
                        chance.next() % (1 + u64::try_from(usual.as_micros()).unwrap()),
                    ))
                } else {
                    Moment::Line(chance.below(FILES), jitter)
                };
                let ended = ingest(&data, &folder, moment, &mut told);
                done += 1;
                killed += usize::from(ended.was_killed);
                amid += usize::from(ended.was_killed && (1..FILES).contains(&ended.files));
            }
        }
        for number in first..sources {
            let ended = ingest(&data, &source(number), Moment::Never, &mut told);
            assert_eq!(ended, Ended { files: FILES, was_killed: false });
        }
        check(&data, &told, sources);
    }
    println!(
        "kill: {done} tries, {killed} hit a running program, {amid} hit it between its first and last file"
    );
    assert!(amid * 5 > killed, "only {amid} of {killed} kills hit a run in its middle");
}
