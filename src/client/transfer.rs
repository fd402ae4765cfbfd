//! Bytes to the server and back, compared with their digests.

use super::{Client, ClientError, Repeat, length, promised};
use crate::api::Problem;
use crate::api::rows::{DocumentFacts, Receipt, VersionFacts};
use crate::domain::Digest;
use crate::domain::digest::Hasher;
use reqwest::blocking::Body;
use serde::Serialize;
use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// A file to be uploaded.
#[derive(Clone, Debug, Default)]
pub struct Upload {
    /// What is said about it.
    pub facts: DocumentFacts,
    /// The key under which it may be sent again; none means a new one for this call.
    pub key: Option<String>,
    /// Whether someone waits until it is found: it is then read before the backlog.
    pub is_urgent: bool,
}

/// What became of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Stored, now or before: see [`Receipt::status`].
    Stored(Receipt),
    /// Not stored.
    Rejected {
        /// Why, as a word.
        reason: String,
        /// Why, for people.
        detail: String,
    },
}

/// What was seen of a file while it was sent.
#[derive(Clone, Copy, Debug)]
enum Seen {
    Digest(Digest),
    Changed,
}

/// Hashes what passes by. Before the last bytes go out it looks whether the file is still as it was: else they are
/// withheld, so that half of an old file and half of a new one are never stored as one.
struct Hashing {
    file: File,
    before: Metadata,
    left: u64,
    hasher: Option<Hasher>,
    seen: Arc<Mutex<Option<Seen>>>,
}

impl Hashing {
    fn is_unchanged(&self) -> io::Result<bool> {
        let (now, before) = (self.file.metadata()?, &self.before);
        Ok(now.len() == before.len() && now.modified()? == before.modified()?)
    }

    fn note(&self, seen: Seen) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
    }
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read(&mut buffer[..most])?;
        self.left -= count as u64;
        let is_last = self.left == 0 || count == 0;
        if is_last && self.hasher.is_some() && (self.left > 0 || !self.is_unchanged()?) {
            self.note(Seen::Changed);
            return Err(io::ErrorKind::InvalidData.into());
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        if self.left == 0
            && let Some(hasher) = self.hasher.take()
        {
            self.note(Seen::Digest(hasher.finish()));
        }
        Ok(count)
    }
}

impl Client {
    /// Uploads a file, streaming. The receipt's digest is compared with that of the bytes that were read here.
    ///
    /// # Errors
    /// [`ClientError`]; the file then may be stored only if the outcome is unknown, and repeating with the same key
    /// is safe.
    pub fn ingest_file(&self, path: &Path, upload: &Upload) -> Result<Sent, ClientError> {
        let mut facts = upload.facts.clone();
        facts.name = facts.name.or_else(|| file_name(path));
        self.upload(&self.url(&["documents"]), &facts, path, upload.key.clone(), upload.is_urgent)
    }

    /// Adds a version to a document, as [`ingest_file`](Self::ingest_file) uploads a file.
    ///
    /// # Errors
    /// As [`ingest_file`](Self::ingest_file).
    pub fn add_version(&self, id: &str, path: &Path, facts: &VersionFacts) -> Result<Sent, ClientError> {
        let mut facts = facts.clone();
        facts.name = facts.name.or_else(|| file_name(path));
        self.upload(&self.url(&["documents", id, "versions"]), &facts, path, None, false)
    }

    fn upload(
        &self,
        url: &reqwest::Url,
        facts: &impl Serialize,
        path: &Path,
        key: Option<String>,
        is_urgent: bool,
    ) -> Result<Sent, ClientError> {
        let key = key.unwrap_or_else(|| Uuid::new_v4().to_string());
        let seen = Arc::new(Mutex::new(None));
        let answer = self.send(Repeat::Always, |http| {
            let file = File::open(path)?;
            let before = file.metadata()?;
            let (size, hasher) = (before.len(), Some(Hasher::new()));
            let body = Hashing { file, before, left: size, hasher, seen: seen.clone() };
            let request = http.post(url.clone()).query(facts).header("idempotency-key", &key);
            let request = request.header("content-type", "application/octet-stream");
            let request = if is_urgent { request.header("priority", "u=1") } else { request };
            Ok(request.body(Body::sized(body, size)))
        });
        let read = *seen.lock().unwrap_or_else(PoisonError::into_inner);
        let receipt: Receipt = match answer {
            Ok(answer) => self.json(answer)?,
            Err(_) if matches!(read, Some(Seen::Changed)) => return Err(ClientError::Changed),
            Err(ClientError::Problem(problem)) => return rejected(*problem),
            Err(error) => return Err(error),
        };
        let stored = receipt.sha256.parse::<Digest>().map_err(|_| ClientError::Strange(self.server()))?;
        match read {
            Some(Seen::Digest(read)) if read != stored => {
                Err(ClientError::Digest { wanted: read, found: stored })
            }
            _ => Ok(Sent::Stored(receipt)),
        }
    }

    /// Writes a document's bytes (the current version's, if none is named) and compares their digest.
    ///
    /// # Errors
    /// [`ClientError::Digest`] when the bytes are not those that the server promised: what was written is worthless.
    pub fn content(&self, id: &str, version: Option<u32>, out: &mut dyn Write) -> Result<u64, ClientError> {
        let mut url = self.url(&["documents", id, "content"]);
        if let Some(version) = version {
            url.query_pairs_mut().append_pair("version", &version.to_string());
        }
        self.download(&url, out)
    }

    /// Writes a rendition (`text` or `pdf`) and compares its digest.
    ///
    /// # Errors
    /// As [`content`](Self::content).
    pub fn rendition(&self, id: &str, name: &str, out: &mut dyn Write) -> Result<u64, ClientError> {
        self.download(&self.url(&["documents", id, "renditions", name]), out)
    }

    fn download(&self, url: &reqwest::Url, out: &mut dyn Write) -> Result<u64, ClientError> {
        let mut answer = self.send(Repeat::Always, |http| Ok(http.get(url.clone())))?;
        let wanted = promised(&answer).ok_or_else(|| ClientError::Strange(self.server()))?;
        let expected = length(&answer);
        let (mut hasher, mut size) = (Hasher::new(), 0_u64);
        let mut buffer = vec![0; 128 * 1024];
        loop {
            let count = match answer.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            hasher.update(&buffer[..count]);
            out.write_all(&buffer[..count])?;
            size += count as u64;
        }
        let found = hasher.finish();
        if found != wanted || expected.is_some_and(|expected| expected != size) {
            return Err(ClientError::Digest { wanted, found });
        }
        Ok(size)
    }
}

fn file_name(path: &Path) -> Option<String> {
    path.file_name().map(|name| name.to_string_lossy().into_owned())
}

fn rejected(problem: Problem) -> Result<Sent, ClientError> {
    match problem.reason.clone() {
        Some(reason) => Ok(Sent::Rejected { reason, detail: problem.detail }),
        None => Err(ClientError::Problem(Box::new(problem))),
    }
}
