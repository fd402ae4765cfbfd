//! Whatever a file makes its reader do: it reads no other file, writes nowhere else and calls nobody.

use super::samples::{self, LETTER};
use super::{codes, need_tesseract, read, script};
use crate::support::{TestArchive, settings, skipped};
use eakte::archive::Settings;
use eakte::extract::find_tesseract;
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
};
use std::net::TcpListener;

/// Whether this kernel can keep a process from files and from the network.
fn kernel_isolates() -> bool {
    let asked = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V4))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(ABI::V4)));
    asked.and_then(Ruleset::create).is_ok()
}

/// A Tesseract that has been taken over: it does its work only after it got at something that is none of its business.
fn taken_over(attempt: &str) -> String {
    let real = find_tesseract(None, "deu+eng").unwrap().program;
    let real = real.display();
    format!(
        "case \"$1\" in --version|--list-langs) exec {real} \"$@\";; esac\n\
         if {attempt}; then exec {real} \"$@\"; fi\nexit 7"
    )
}

#[test]
fn a_reader_that_was_taken_over_gets_at_nothing() {
    need_tesseract();
    if !kernel_isolates() {
        return skipped("a_reader_that_was_taken_over_gets_at_nothing", "this kernel has no Landlock");
    }
    let others = tempfile::tempdir().unwrap();
    let secret = others.path().join("geheim.txt");
    samples::write(&secret, b"geheim");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let scan = samples::png(&samples::scan(&LETTER));
    for attempt in [
        format!("cat '{}' > /dev/null 2>&1", secret.display()),
        format!("( : > '{}/spur' ) 2> /dev/null", others.path().display()),
        format!("ls '{}' > /dev/null 2>&1", others.path().display()),
        format!("rm '{}' 2> /dev/null", secret.display()),
        format!("bash -c 'exec 3<> /dev/tcp/127.0.0.1/{port}' 2> /dev/null"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let program = script(folder.path(), &taken_over(&attempt));
        for isolate in [true, false] {
            let tesseract = Some(program.clone());
            let town = TestArchive::with(Settings { tesseract, digitise_isolate: isolate, ..settings(true) });
            let reading = read(&town, "Scan.png", &scan);
            // Left open, the attempt succeeds and the page is read: so the test would see it.
            assert_eq!(
                reading.data.text.is_some() && codes(&reading).is_empty(),
                !isolate,
                "{attempt}: {reading:?}"
            );
            if isolate {
                assert!(secret.exists() && !others.path().join("spur").exists(), "{attempt}");
            } else if !secret.exists() {
                samples::write(&secret, b"geheim");
            }
            let _ = std::fs::remove_file(others.path().join("spur"));
        }
    }
}

#[test]
fn reading_steps_back_behind_those_who_work() {
    need_tesseract();
    let folder = tempfile::tempdir().unwrap();
    let program = script(folder.path(), &taken_over("[ \"$(nice)\" -ge 10 ]"));
    let town = TestArchive::with(Settings { tesseract: Some(program), ..settings(true) });
    let reading = read(&town, "Scan.png", &samples::png(&samples::scan(&LETTER)));
    assert!(reading.data.text.is_some() && codes(&reading).is_empty(), "{reading:?}");
}
