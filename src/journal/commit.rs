//! The commit object: plain text, one fact a line (`schema/commit.md`).

use crate::domain::event::LeafRange;
use crate::domain::{Digest, digest, object};
use std::fmt::Write as _;

/// One entry of the journal. Its place is its sequence number; whoever creates the object first has the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// 1 and up, without gaps.
    pub seq: u64,
    /// Position of the first leaf.
    pub first_leaf: u64,
    /// Chosen anew for every attempt to take a place: tells a writer its own commit from another's.
    pub nonce: [u8; 16],
    /// SHA-256 of the previous commit object; zeros before the first.
    pub previous: Digest,
    /// Leaves that may vanish from now on.
    pub erases: Vec<LeafRange>,
    /// Payloads, in order of their positions.
    pub leaves: Vec<Digest>,
}

/// A commit object that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Written by a newer version of the program.
    #[error("unbekanntes Format „{0}“")]
    Format(String),
    /// A line that is not what must stand there.
    #[error("Zeile {0} ist nicht lesbar")]
    Line(usize),
}

const FORMAT: &str = "eakte-commit/1";

impl Commit {
    /// The `previous` of the first commit.
    pub const NO_PREVIOUS: Digest = Digest::from_bytes([0; 32]);

    /// The position after its last leaf.
    pub fn next_leaf(&self) -> u64 {
        self.first_leaf + self.leaves.len() as u64
    }

    /// The object's bytes.
    pub fn to_text(&self) -> String {
        let mut text = format!("{FORMAT}\nseq {}\nfirst {}\n", self.seq, self.first_leaf);
        let _ = writeln!(text, "nonce {}\nprevious {}", digest::hex(&self.nonce), self.previous);
        if !self.erases.is_empty() {
            text.push_str("erases");
            for range in &self.erases {
                let _ = write!(text, " {}-{}", range.first, range.last);
            }
            text.push('\n');
        }
        let _ = writeln!(text, "leaves {}", self.leaves.len());
        for leaf in &self.leaves {
            text.push_str(&object::leaf_line(leaf));
        }
        text
    }

    /// Reads an object's bytes; anything but exactly what [`to_text`](Self::to_text) writes is refused.
    ///
    /// # Errors
    /// [`CommitError`] naming the line.
    pub fn parse(bytes: &[u8]) -> Result<Self, CommitError> {
        let text = std::str::from_utf8(bytes).map_err(|_| CommitError::Line(1))?;
        let mut lines = Lines { rest: text, number: 0 };
        let format = lines.next()?;
        if format != FORMAT {
            return Err(CommitError::Format(format.chars().take(40).collect()));
        }
        let seq = lines.field("seq", number)?;
        let first_leaf = lines.field("first", number)?;
        let nonce = lines.field("nonce", digest::unhex)?;
        let previous = lines.field("previous", |text| text.parse().ok())?;
        let erases = if lines.rest.starts_with("erases ") {
            lines.field("erases", |text| text.split(' ').map(range).collect())?
        } else {
            Vec::new()
        };
        let count: u64 = lines.field("leaves", number)?;
        let mut leaves = Vec::new();
        for _ in 0..count {
            let line = lines.next()?;
            let digest = line.get(..64).and_then(|hex| hex.parse().ok());
            let digest: Digest = digest.ok_or(CommitError::Line(lines.number))?;
            if object::leaf_line(&digest).strip_suffix('\n') != Some(line) {
                return Err(CommitError::Line(lines.number));
            }
            leaves.push(digest);
        }
        if !lines.rest.is_empty() {
            return Err(CommitError::Line(lines.number + 1));
        }
        Ok(Self { seq, first_leaf, nonce, previous, erases, leaves })
    }
}

struct Lines<'t> {
    rest: &'t str,
    number: usize,
}

impl<'t> Lines<'t> {
    fn next(&mut self) -> Result<&'t str, CommitError> {
        self.number += 1;
        let (line, rest) = self.rest.split_once('\n').ok_or(CommitError::Line(self.number))?;
        self.rest = rest;
        Ok(line)
    }

    fn field<T>(&mut self, name: &str, read: impl FnOnce(&'t str) -> Option<T>) -> Result<T, CommitError> {
        let value = self.next()?.strip_prefix(name).and_then(|rest| rest.strip_prefix(' '));
        value.and_then(read).ok_or(CommitError::Line(self.number))
    }
}

/// A number as `Display` writes it: no sign, no leading zeros.
fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|value: &u64| value.to_string() == text)
}

fn range(text: &str) -> Option<LeafRange> {
    let (first, last) = text.split_once('-')?;
    let range = LeafRange { first: number(first)?, last: number(last)? };
    (range.first <= range.last).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(erases: Vec<LeafRange>) -> Commit {
        Commit {
            seq: 12,
            first_leaf: 40,
            nonce: [7; 16],
            previous: Digest::of(b"eleven"),
            erases,
            leaves: vec![Digest::of(b"a"), Digest::of(b"b")],
        }
    }

    #[test]
    fn a_commit_reads_back_what_it_writes() {
        let ranges = vec![LeafRange { first: 3, last: 3 }, LeafRange { first: 10, last: 12 }];
        for commit in [commit(Vec::new()), commit(ranges)] {
            assert_eq!(Commit::parse(commit.to_text().as_bytes()), Ok(commit.clone()));
            assert_eq!(commit.next_leaf(), 42);
        }
    }

    #[test]
    fn every_changed_byte_is_noticed_or_is_another_commit() {
        let text = commit(vec![LeafRange { first: 3, last: 9 }]).to_text();
        for place in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[place] ^= 1;
            if let Ok(other) = Commit::parse(&bytes) {
                assert_eq!(other.to_text().as_bytes(), bytes, "byte {place} has two spellings");
            }
        }
        for end in 0..text.len() {
            assert!(Commit::parse(&text.as_bytes()[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn a_newer_format_is_named() {
        let text = commit(Vec::new()).to_text().replace("commit/1", "commit/2");
        assert_eq!(Commit::parse(text.as_bytes()), Err(CommitError::Format("eakte-commit/2".into())));
    }
}
