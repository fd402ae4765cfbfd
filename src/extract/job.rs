//! What the parent tells the worker, and what the worker answers: lines of JSON on its standard input and output.

use crate::domain::finding::Finding;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The input's name in the job's folder.
pub const INPUT: &str = "input";
/// The page texts' name in the job's folder.
pub const TEXT: &str = "text.json";
/// The searchable PDF's name in the job's folder.
pub const PDF: &str = "searchable.pdf";

/// Seconds that each page adds to the wall clock.
pub const SECONDS_PER_PAGE: u64 = 20;

/// Auftrag: one file to be read. The worker runs in the job's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// What the file is.
    pub media_type: String,
    /// What the document is called; goes into the searchable PDF.
    pub title: String,
    /// When the document was accepted; the date of the searchable PDF, so that the same input gives the same bytes.
    pub created: Timestamp,
    /// Limits that the worker sets for itself.
    pub limits: Limits,
    /// How to recognise characters, if that is possible here.
    pub ocr: Option<Ocr>,
    /// Pages at which earlier attempts ended.
    pub skip: Vec<u32>,
    /// Whether the worker is to shut itself in, as far as the kernel can.
    pub isolate: bool,
}

/// Limits of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Processor time of each process, in seconds.
    pub cpu_seconds: u64,
    /// Wall clock, in seconds; every page adds [`SECONDS_PER_PAGE`].
    pub wall_seconds: u64,
    /// Address space of each process, in bytes.
    pub memory_bytes: u64,
    /// Largest file that may be written, in bytes.
    pub output_bytes: u64,
    /// Most pages that are read.
    pub pages: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpu_seconds: 600,
            wall_seconds: 1_200,
            memory_bytes: 2 << 30,
            output_bytes: 4 << 30,
            pages: 5_000,
        }
    }
}

/// Where Tesseract is and what it can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ocr {
    /// The program.
    pub program: PathBuf,
    /// Its version, such as `5.3.0`.
    pub version: String,
    /// Languages, such as `deu+eng`.
    pub languages: String,
    /// Whether it can tell which way is up.
    pub can_orient: bool,
}

/// A line from the worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The document has this many pages that will be read.
    Pages(u32),
    /// Now this page is being read.
    Page(u32),
    /// It is done.
    Done(Outcome),
}

/// Ergebnis: what reading a file gave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Programs and their versions.
    pub engine: String,
    /// Number of pages.
    pub pages: u32,
    /// Pages read by character recognition.
    pub ocr_pages: u32,
    /// Pages that wait for it.
    pub ocr_pending: u32,
    /// Blank pages.
    pub blank_pages: u32,
    /// Mean confidence of recognised words.
    pub mean_confidence: Option<u8>,
    /// What is odd.
    pub findings: Vec<Finding>,
    /// Whether there is a file with page texts.
    pub has_text: bool,
    /// Whether there is a searchable PDF.
    pub has_pdf: bool,
    /// Whether the kernel kept the worker to its folder.
    #[serde(default)]
    pub isolated: bool,
    /// For the operator's log: why there is no searchable PDF, and the like. Never text of the document.
    pub notes: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_and_its_answers_fit_on_lines() {
        let job = Job {
            media_type: "application/pdf".into(),
            title: "Zwei\nZeilen".into(),
            created: Timestamp::UNIX_EPOCH,
            limits: Limits::default(),
            ocr: Some(Ocr {
                program: "/usr/bin/tesseract".into(),
                version: "5".into(),
                languages: "deu".into(),
                can_orient: true,
            }),
            skip: vec![3],
            isolate: true,
        };
        let line = serde_json::to_string(&job).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(serde_json::from_str::<Job>(&line).unwrap(), job);
        for line in [Line::Pages(4), Line::Page(1), Line::Done(Outcome::default())] {
            let text = serde_json::to_string(&line).unwrap();
            assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line, "{text}");
        }
    }
}
