//! `kill -9` over a server with a hot folder, again and again: everything that was put there ends in `erledigt/`, and
//! is in the archive once. `EAKTE_KILLS=200` kills more often, `EAKTE_SEED=7` replays the moments (as far as a machine
//! can).

use crate::cli::{Town, code, json, stderr};
use crate::support::chance::{Chance, from_env};
use crate::support::{FixedClock, settings, tenant};
use eakte::archive::{Installation, Place};
use eakte::clock::SystemEntropy;
use eakte::domain::Digest;
use eakte::domain::batch::Balance;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const CONFIG: &str = "[[hot_folders]]\npath = \"eingang\"\nstable_for = \"300 ms\"\npoll_every = \"50 ms\"\n";

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        // A folder may be moved away between two looks.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

/// What still waits in the hot folder, without what was put away.
fn waiting(root: &Path) -> usize {
    let is_away =
        |path: &&PathBuf| ["erledigt", "abgelehnt"].iter().any(|away| path.starts_with(root.join(away)));
    files(root).iter().filter(|path| !is_away(path)).count()
}

fn start(town: &Town) -> Child {
    let mut command = town.command(&["serve", "--json", "--listen", "127.0.0.1:0"]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Puts loose files and a folder there.
fn arrive(town: &Town, round: usize, chance: &mut Chance, offered: &mut BTreeMap<Digest, String>) {
    for number in 0..4 + chance.below(30) {
        let folder = if chance.permille(600) {
            format!("Karton {round}/Mappe {}/", number % 3)
        } else {
            String::new()
        };
        let name = format!("{folder}{round}-{number}.txt");
        let text =
            format!("Schreiben {round}-{number}, {:x}\n", chance.next()).repeat(1 + chance.below(2_000));
        offered.insert(Digest::of(text.as_bytes()), name.clone());
        town.write(&format!("data/eingang/{name}"), text.as_bytes());
    }
}

#[test]
fn a_server_with_a_hot_folder_that_is_killed_again_and_again_loses_nothing_and_doubles_nothing() {
    let kills = usize::try_from(from_env("EAKTE_KILLS").unwrap_or(20)).unwrap();
    let seed = from_env("EAKTE_SEED").unwrap_or(1);
    println!("hot folder: {kills} kills, seed {seed}");
    let mut chance = Chance::new(seed);
    let town = Town::new();
    let root = town.path("data/eingang");
    town.write("data/eakte.toml", CONFIG.as_bytes());
    fs::create_dir(&root).unwrap();
    let (mut offered, mut amid) = (BTreeMap::new(), 0);
    for round in 0..kills {
        arrive(&town, round, &mut chance, &mut offered);
        let mut server = start(&town);
        let (before, begun) = (waiting(&root), Instant::now());
        // A moment in its start, or one after so many files were put away.
        let moment = Duration::from_millis(chance.next() % 2_500);
        let goal = chance.permille(700).then(|| chance.below(before));
        while begun.elapsed() < goal.map_or(moment, |_| Duration::from_secs(30)) {
            if goal.is_some_and(|goal| before.saturating_sub(waiting(&root)) > goal) {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(server.try_wait().unwrap().is_none(), "the server ended by itself");
        server.kill().unwrap();
        server.wait().unwrap();
        amid += usize::from((1..before).contains(&waiting(&root)));
    }
    println!("hot folder: {amid} of {kills} kills left some files put away and others not");
    let mut server = start(&town);
    let begun = Instant::now();
    while waiting(&root) > 0 {
        assert!(begun.elapsed() < Duration::from_mins(3), "{} files still wait", waiting(&root));
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_millis(300));
    server.kill().unwrap();
    server.wait().unwrap();

    assert_eq!(files(&root.join("abgelehnt")), Vec::<PathBuf>::new());
    let away = files(&root.join("erledigt"));
    let digests: Vec<Digest> = away.iter().map(|path| Digest::of(&fs::read(path).unwrap())).collect();
    for (sha256, name) in &offered {
        assert_eq!(digests.iter().filter(|digest| *digest == sha256).count(), 1, "{name}");
    }
    assert_eq!(away.len(), offered.len());
    {
        let clock = Arc::new(FixedClock("2026-03-02T08:00:00Z".parse().unwrap()));
        let place = Place::directory(&town.path("data"));
        let installation =
            Installation::open(place, settings(false), clock, Arc::new(SystemEntropy)).unwrap();
        let archive = installation.archive(&tenant()).unwrap();
        assert_eq!(archive.catalogue().summary().unwrap().documents, offered.len() as u64);
        for (sha256, name) in &offered {
            assert_eq!(archive.catalogue().documents_by_digest(sha256).unwrap().len(), 1, "{name}");
        }
        let page = archive.catalogue().batches(None, 500).unwrap();
        for (id, row) in &page.items {
            assert_eq!(row.state(*id).balance(), Balance::Green, "{}: {row:?}", row.data.name);
        }
    }
    let verified = town.run(&["verify", "--json"]);
    assert_eq!(code(&verified), 0, "{} {:?}", stderr(&verified), json(&verified));
}
