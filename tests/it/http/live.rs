//! A real server on a real socket.

use super::{make, sha256, staged};
use crate::support::settings;
use eakte::archive::{Error, Settings};
use eakte::serve::{ServeOptions, serve_until};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A server in a thread.
pub(crate) struct Live {
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
    pub(crate) folder: TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

impl Live {
    pub(crate) fn start(change: impl FnOnce(&mut ServeOptions), settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (installation, token, _) = make(&folder, settings);
        let (ready, address) = mpsc::channel();
        let mut options = ServeOptions {
            listen: ([127, 0, 0, 1], 0).into(),
            on_ready: Some(Box::new(move |address| ready.send(address).unwrap())),
            ..ServeOptions::default()
        };
        change(&mut options);
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            serve_until(installation, options, Vec::new(), async {
                let _ = stopped.await;
            })
        });
        let address = address.recv_timeout(Duration::from_mins(1)).unwrap();
        Self { address, token, folder, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        stream
    }

    fn head(&self, method: &str, path: &str, more: &str) -> String {
        format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n{more}\r\n",
            self.token
        )
    }

    pub(crate) fn ask(&self, method: &str, path: &str, more: &str) -> (u16, String) {
        let mut stream = self.connect();
        let more = format!("{more}Connection: close\r\n");
        stream.write_all(self.head(method, path, &more).as_bytes()).unwrap();
        answer(stream)
    }

    pub(crate) fn documents(&self) -> usize {
        let (status, text) = self.ask("GET", "/api/v1/health", "");
        assert_eq!(status, 200);
        let body = text.split("\r\n\r\n").nth(1).unwrap();
        let health: serde_json::Value = serde_json::from_str(body).unwrap();
        usize::try_from(health["documents"].as_u64().unwrap()).unwrap()
    }

    pub(crate) fn stop(&mut self) -> Result<(), Error> {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        self.thread.take().map_or(Ok(()), |thread| thread.join().unwrap())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let stopped = self.stop();
        if !std::thread::panicking() {
            stopped.unwrap();
        }
    }
}

/// Reads an answer to the end of its connection.
fn answer(stream: TcpStream) -> (u16, String) {
    let mut bytes = Vec::new();
    let mut stream = stream;
    let read = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("{read:?}: {text}")), text)
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_mins(1), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_large_upload_and_download_take_little_memory() {
    let megabytes: u64 = std::env::var("EAKTE_UPLOAD_MB").ok().map_or(192, |text| text.parse().unwrap());
    let server = Live::start(|_| {}, settings(false));
    let before = resident_bytes();
    let chunk = vec![7_u8; 1024 * 1024];
    let mut stream = server.connect();
    let size = megabytes * 1024 * 1024;
    let more = format!("Content-Length: {size}\r\nConnection: close\r\n");
    stream.write_all(server.head("POST", "/api/v1/documents?name=gross.bin", &more).as_bytes()).unwrap();
    let (mut hasher, mut peak) = (eakte::domain::digest::Hasher::new(), 0);
    for _ in 0..megabytes {
        stream.write_all(&chunk).unwrap();
        hasher.update(&chunk);
        peak = peak.max(resident_bytes());
    }
    let (status, text) = answer(stream);
    assert_eq!(status, 201, "{text}");
    let digest = hasher.finish();
    assert!(text.contains(&digest.to_string()));
    let id = text.split("\"document_id\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let mut stream = server.connect();
    let path = format!("/api/v1/documents/{id}/content");
    stream.write_all(server.head("GET", &path, "Connection: close\r\n").as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).unwrap();
    }
    let (mut hasher, mut buffer) = (eakte::domain::digest::Hasher::new(), vec![0; 1024 * 1024]);
    loop {
        let count = reader.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        peak = peak.max(resident_bytes());
    }
    assert_eq!(hasher.finish(), digest);
    let grown = peak.saturating_sub(before) / 1024 / 1024;
    println!("{megabytes} MB up and down: memory grew by {grown} MB");
    // Other tests run in this process meanwhile; still far from the file's size.
    assert!(grown < 128, "{grown} MB for a file of {megabytes} MB");
}

#[test]
fn many_uploads_at_once_take_little_memory() {
    let files: usize = std::env::var("EAKTE_UPLOADS").ok().map_or(400, |text| text.parse().unwrap());
    let server = Live::start(|_| {}, settings(true));
    let before = resident_bytes();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let (begun, peak) = (Instant::now(), std::sync::atomic::AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let mut bytes = vec![b'x'; 200_000];
                loop {
                    let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if number >= files {
                        break;
                    }
                    bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
                    let mut stream = server.connect();
                    let more = format!("Content-Length: {}\r\nConnection: close\r\n", bytes.len());
                    let head = server.head("POST", "/api/v1/documents?name=a.bin", &more);
                    stream.write_all(head.as_bytes()).unwrap();
                    stream.write_all(&bytes).unwrap();
                    assert_eq!(answer(stream).0, 201);
                    peak.fetch_max(resident_bytes(), std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
    });
    let (peak, seconds) = (peak.into_inner(), begun.elapsed().as_secs_f32());
    let mebibytes = |bytes: u64| bytes / 1024 / 1024;
    println!(
        "{files} files in {seconds:.1} s; memory {} MB before, {} MB at most (with the senders)",
        mebibytes(before),
        mebibytes(peak)
    );
    assert_eq!(server.documents(), files);
    assert!(mebibytes(peak.saturating_sub(before)) < 200);
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn an_upload_that_is_broken_off_leaves_nothing() {
    let server = Live::start(|_| {}, settings(false));
    for (more, body) in [
        ("Content-Length: 1000000\r\n", vec![b'x'; 500_000]),
        ("Transfer-Encoding: chunked\r\n", b"400\r\n".iter().copied().chain([b'x'; 0x300]).collect()),
    ] {
        let mut stream = server.connect();
        stream.write_all(server.head("POST", "/api/v1/documents?name=a", more).as_bytes()).unwrap();
        stream.write_all(&body).unwrap();
        wait_for("the upload has begun", || staged(&server.folder) == 1);
        drop(stream);
        wait_for("what was staged is gone", || staged(&server.folder) == 0);
    }
    assert_eq!(server.documents(), 0);
}

#[test]
fn slow_senders_are_dropped_and_told_why() {
    let change = |options: &mut ServeOptions| {
        options.header_timeout = Duration::from_millis(300);
        options.api.limits.idle = Duration::from_millis(300);
    };
    let server = Live::start(change, settings(false));
    // A body that stops.
    let mut stream = server.connect();
    let more = "Content-Length: 1000\r\nConnection: close\r\n";
    stream.write_all(server.head("POST", "/api/v1/documents?name=a", more).as_bytes()).unwrap();
    stream.write_all(b"Sehr geehrte").unwrap();
    let (status, text) = answer(stream);
    assert_eq!(status, 408, "{text}");
    assert!(text.contains("application/problem+json"));
    // A head that stops.
    let mut stream = server.connect();
    stream.write_all(b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n").unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{:?}", String::from_utf8_lossy(&rest));
    // A connection on which nothing is asked.
    let mut stream = server.connect();
    stream.read_to_end(&mut Vec::new()).unwrap();
    wait_for("what was staged is gone", || staged(&server.folder) == 0);
    assert_eq!(server.documents(), 0);
}

#[test]
fn more_uploads_than_allowed_are_told_when_to_come_back() {
    let change = |options: &mut ServeOptions| {
        options.api.limits.uploads = 1;
        options.api.limits.upload_patience = Duration::from_millis(50);
    };
    let server = Live::start(change, settings(false));
    let mut first = server.connect();
    let more = "Content-Length: 5\r\nConnection: close\r\n";
    first.write_all(server.head("POST", "/api/v1/documents?name=a", more).as_bytes()).unwrap();
    first.write_all(b"Br").unwrap();
    wait_for("the first upload has begun", || staged(&server.folder) == 1);
    let (status, text) = server.ask("POST", "/api/v1/documents?name=b", "Content-Length: 0\r\n");
    assert_eq!(status, 503, "{text}");
    assert!(text.to_lowercase().contains("retry-after: 5"), "{text}");
    // Lookups are not in the way of uploads.
    assert_eq!(server.documents(), 0);
    first.write_all(b"ief").unwrap();
    assert_eq!(answer(first).0, 201);
}

#[test]
fn stopping_finishes_what_runs_and_ends_what_would_not_end() {
    let mut server = Live::start(|_| {}, settings(false));
    let (status, text) = {
        let mut stream = server.connect();
        let body = r#"{"name":"b"}"#;
        let more = format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n",
            body.len()
        );
        stream.write_all(server.head("POST", "/api/v1/batches", &more).as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        answer(stream)
    };
    assert_eq!(status, 201);
    let id = text.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    // A progress stream of an open batch goes on for ever.
    let mut endless = server.connect();
    let path = format!("/api/v1/batches/{id}/progress");
    endless.write_all(server.head("GET", &path, "").as_bytes()).unwrap();
    let mut endless = BufReader::new(endless);
    let mut line = String::new();
    while !line.starts_with("data: ") {
        line.clear();
        assert!(endless.read_line(&mut line).unwrap() > 0);
    }
    assert!(line.contains("\"balance\":\"open\""), "{line}");
    // An upload is in the middle.
    let mut upload = server.connect();
    let more = "Content-Length: 5\r\n";
    upload.write_all(server.head("POST", "/api/v1/documents?name=a", more).as_bytes()).unwrap();
    upload.write_all(b"Br").unwrap();
    wait_for("the upload has begun", || staged(&server.folder) == 1);
    let address = server.address;
    let finishing = std::thread::spawn(move || {
        // The server no longer listens, but still reads this.
        wait_for("nobody listens", || TcpStream::connect(address).is_err());
        upload.write_all(b"ief").unwrap();
        answer(upload)
    });
    server.stop().unwrap();
    let (status, text) = finishing.join().unwrap();
    assert_eq!(status, 201, "{text}");
    assert!(text.contains(&sha256(b"Brief")));
    let mut rest = String::new();
    endless.read_to_string(&mut rest).unwrap();
    assert_eq!(staged(&server.folder), 0);
}

#[test]
fn numbers_are_for_this_machine() {
    let server = Live::start(|_| {}, settings(false));
    server.documents();
    let (status, text) = server.ask("GET", "/metrics", "");
    assert_eq!(status, 200);
    for expected in [
        "eakte_http_requests_total{method=\"GET\",route=\"/api/v1/health\",status=\"200\"} 1",
        "eakte_journal_commits{tenant=\"t\"} 1",
        "eakte_unread_documents{tenant=\"t\",lane=\"single\"} 0",
        "eakte_process_memory_bytes",
        "# EOF",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    let (status, _) = server.ask("GET", "/metrics", "X-Forwarded-For: 192.0.2.7\r\n");
    assert_eq!(status, 404);
}

#[test]
fn an_address_that_is_taken_is_told_in_a_sentence() {
    let server = Live::start(|_| {}, settings(false));
    let folder = tempfile::tempdir().unwrap();
    let (installation, _, _) = make(&folder, settings(false));
    let options = ServeOptions { listen: server.address, ..ServeOptions::default() };
    let error = serve_until(installation, options, Vec::new(), std::future::pending()).unwrap_err();
    assert!(error.public.contains("ist nicht benutzbar"), "{}", error.public);
}
