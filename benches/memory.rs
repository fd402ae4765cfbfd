//! What does the server keep in memory? The real program, its figures from `/proc`: idle after its start, and at its
//! highest while 10,000 files of 200 KB (random bytes, seed 7) are uploaded by `eakte ingest --server` and read by its
//! workers. Targets: under 80 MB idle, under 200 MB while files arrive. `EAKTE_FILES=1000` uploads fewer.

#![allow(clippy::print_stdout, missing_docs, reason = "a bench reports to whoever runs it")]

mod support;

use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use support::{Chance, figure};

const BYTES: usize = 200_000;
/// Files that lie on the disk at a time.
const BOX: usize = 500;

fn program(data: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eakte"));
    command
        .arg("--data")
        .arg(data)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// A server that ends with the bench.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A number of the process's status, in KiB where it is a size.
fn status(process: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).expect("the server runs");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("Linux knows this");
    let digits: String = line.chars().filter(char::is_ascii_digit).collect();
    digits.parse().expect("digits")
}

fn megabytes(process: u32, name: &str) -> f64 {
    f64::from(u32::try_from(status(process, name)).expect("less than 4 TB")) * 1.024 / 1_000.0
}

fn main() {
    let files: usize = std::env::var("EAKTE_FILES").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let scratch = support::scratch("memory");
    let data = scratch.path().join("data");
    assert!(program(&data, &["create", "--tenant", "t"]).status().expect("the program runs").success());
    let mut serve = program(&data, &["serve", "--json", "--listen", "127.0.0.1:0"]);
    let mut server = Server(serve.stdout(Stdio::piped()).spawn().expect("the program runs"));
    let mut line = String::new();
    let output = server.0.stdout.take().expect("a pipe");
    BufReader::new(output).read_line(&mut line).expect("it says where it listens");
    let ready: Value = serde_json::from_str(&line).expect("JSON");
    let url = ready["url"].as_str().expect("an address").to_owned();
    let process = server.0.id();
    sleep(Duration::from_secs(5));
    figure("memory idle after the start", megabytes(process, "VmRSS:"), "MB", "< 80");

    let (mut chance, begun) = (Chance::new(7), Instant::now());
    let source = scratch.path().join("in");
    for first in (0..files).step_by(BOX) {
        fs::create_dir_all(&source).expect("writable");
        for number in first..files.min(first + BOX) {
            let mut file = File::create(source.join(format!("{number:05}.bin"))).expect("writable");
            file.write_all(&chance.bytes(BYTES)).expect("writable");
        }
        let mut ingest = program(&data, &["ingest", "--no-wait", "--server", &url]);
        assert!(ingest.arg(&source).status().expect("the program runs").success(), "every file is accepted");
        fs::remove_dir_all(&source).expect("writable");
        if (first / BOX).is_multiple_of(4) {
            println!(
                "after {:>6} files: {:.0} MB now, {:.0} MB at most, {} threads",
                files.min(first + BOX),
                megabytes(process, "VmRSS:"),
                megabytes(process, "VmHWM:"),
                status(process, "Threads:")
            );
        }
    }
    let name = format!("memory at its highest while {files} files arrive");
    figure(&name, megabytes(process, "VmHWM:"), "MB", "< 200");
    figure("time", begun.elapsed().as_secs_f64(), "s", "");
    sleep(Duration::from_secs(30));
    figure("memory half a minute later", megabytes(process, "VmRSS:"), "MB", "");
}
