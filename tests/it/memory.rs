//! What a real server keeps in memory, idle and while files arrive. `benches/memory.rs` does it with 10,000 files.

use crate::cli::{Town, code, serve, stderr};
use crate::support::chance::Chance;
use std::time::Duration;

const FILES: usize = 500;
const BYTES: usize = 200_000;

/// A figure of a process in MB: `VmRSS` now, `VmHWM` at its highest.
fn megabytes(process: u32, figure: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(figure)).unwrap();
    let kilobytes: u64 = line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap();
    kilobytes * 1_024 / 1_000_000
}

#[test]
fn a_server_stays_small_idle_and_while_files_arrive() {
    let town = Town::new();
    let mut chance = Chance::new(7);
    for number in 0..FILES {
        let mut bytes = Vec::with_capacity(BYTES);
        while bytes.len() < BYTES {
            bytes.extend(chance.next().to_le_bytes());
        }
        town.write(&format!("in/{number}.bin"), &bytes);
    }
    let server = serve(&town);
    std::thread::sleep(Duration::from_secs(1));
    let idle = megabytes(server.0.id(), "VmRSS");
    let sent = town.run(&["ingest", "--no-wait", "--server", &server.1, "in"]);
    assert_eq!(code(&sent), 0, "{}", stderr(&sent));
    let peak = megabytes(server.0.id(), "VmHWM");
    println!("memory: {idle} MB idle, at most {peak} MB while {FILES} files of {BYTES} bytes arrive");
    assert!(idle < 80, "{idle} MB idle");
    assert!(peak < 200, "{peak} MB while files arrive");
}
