//! Seitentexte: the rendition `text.json`, format `eakte-text/1`. One JSON object, written page by page:
//!
//! ```json
//! {"format":"eakte-text/1","pages":[
//! {"number":1,"width":2480,"height":3508,"unit":"px","source":"ocr","skew_degrees":0.4,"confidence":93,
//!  "text":"…","words":[[301,220,514,262,96,0,"Bescheid"]]}
//! ],"engine":"eakte 0.1.0, Tesseract 5.3.0 (deu+eng)"}
//! ```
//!
//! Boxes are whole pixels of the page's picture or whole points of a PDF page, from the top left corner of the page as
//! a reader sees it (turned by `turn`, not deskewed).

use super::page::Word;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

/// The name of the format.
pub const FORMAT: &str = "eakte-text/1";
/// Largest file. Longer documents keep their first pages, and their words only as text.
pub const MAX_BYTES: u64 = 192 * 1024 * 1024;

/// The whole file, for whoever reads it at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PageTexts {
    /// `eakte-text/1`.
    pub format: String,
    /// Programs that read the document, with their versions.
    pub engine: String,
    /// Pages in order.
    pub pages: Vec<PageText>,
}

/// What the coordinates of a page count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Length {
    /// Pixels of the page's picture.
    #[serde(rename = "px")]
    Pixel,
    /// Points, 72 to the inch.
    #[serde(rename = "pt")]
    Point,
}

/// Where a page's text comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The file holds it as text.
    Text,
    /// An invisible layer over a scan, made by someone else's character recognition.
    OcrLayer,
    /// Our character recognition.
    Ocr,
    /// The page is blank.
    Blank,
    /// There is none: not readable, or waiting for character recognition.
    None,
}

/// A word: left, top, right, bottom, confidence (0 to 100), number of its line, text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WordBox(pub i32, pub i32, pub i32, pub i32, pub u8, pub u32, pub String);

impl From<&Word> for WordBox {
    fn from(word: &Word) -> Self {
        Self(
            whole(word.left),
            whole(word.top),
            whole(word.right),
            whole(word.bottom),
            word.confidence,
            word.line,
            word.text.clone(),
        )
    }
}

/// A coordinate as a whole number.
#[expect(clippy::cast_possible_truncation, reason = "clamped to what fits")]
fn whole(length: f32) -> i32 {
    length.round().clamp(-1.0e6, 1.0e6) as i32
}

/// One page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PageText {
    /// 1 and up.
    pub number: u32,
    /// Width of the page as a reader sees it; pages of plain text have none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub width: Option<u32>,
    /// Height.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub height: Option<u32>,
    /// What width, height and boxes count.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unit: Option<Length>,
    /// Where the text comes from.
    pub source: Source,
    /// Degrees clockwise by which the page had to be turned to be read: 0, 90, 180, 270.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub turn: u16,
    /// Degrees clockwise by which the paper lay askew.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub skew_degrees: Option<f32>,
    /// Mean confidence of recognised words, 0 to 100, weighted by their length.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub confidence: Option<u8>,
    /// The text: a line a line, an empty line between paragraphs.
    pub text: String,
    /// Words with their places.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub words: Vec<WordBox>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(turn: &u16) -> bool {
    *turn == 0
}

impl PageText {
    /// A page without text.
    pub fn empty(number: u32, source: Source) -> Self {
        Self {
            number,
            width: None,
            height: None,
            unit: None,
            source,
            turn: 0,
            skew_degrees: None,
            confidence: None,
            text: String::new(),
            words: Vec::new(),
        }
    }
}

/// Writes the file page by page; nothing but the current page is held.
#[derive(Debug)]
pub(super) struct TextFile {
    file: BufWriter<File>,
    written: u64,
    pages: u32,
}

impl TextFile {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(64 * 1024, File::create(path)?);
        let head = format!("{{\"format\":\"{FORMAT}\",\"pages\":[");
        file.write_all(head.as_bytes())?;
        Ok(Self { file, written: head.len() as u64, pages: 0 })
    }

    /// Adds a page. Says `false` when the page is too much: its text, or at least its words, were left out.
    pub(super) fn add(&mut self, page: &PageText) -> io::Result<bool> {
        let mut bytes = serde_json::to_vec(page)?;
        let mut whole = true;
        if self.written + bytes.len() as u64 > MAX_BYTES {
            whole = false;
            let bare = PageText { words: Vec::new(), ..page.clone() };
            bytes = serde_json::to_vec(&bare)?;
            if self.written + bytes.len() as u64 > MAX_BYTES {
                bytes = serde_json::to_vec(&PageText { text: String::new(), ..bare })?;
            }
        }
        self.file.write_all(if self.pages == 0 { b"\n" } else { b",\n" })?;
        self.file.write_all(&bytes)?;
        self.written += bytes.len() as u64 + 2;
        self.pages += 1;
        Ok(whole)
    }

    /// Ends the file. Which programs took part is known only now.
    pub(super) fn finish(mut self, engine: &str) -> io::Result<()> {
        let engine = serde_json::to_string(engine)?;
        self.file.write_all(format!("\n],\"engine\":{engine}}}\n").as_bytes())?;
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_page_by_page_is_read_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.json");
        let word = Word {
            text: "„Größe“".into(),
            left: 10.4,
            top: 20.6,
            right: f32::INFINITY,
            bottom: f32::NAN,
            confidence: 91,
            line: 3,
        };
        let page = PageText {
            width: Some(100),
            height: Some(200),
            unit: Some(Length::Pixel),
            turn: 90,
            skew_degrees: Some(-0.5),
            confidence: Some(91),
            text: "„Größe“\n".into(),
            words: vec![WordBox::from(&word)],
            ..PageText::empty(1, Source::Ocr)
        };
        let mut file = TextFile::create(&path).unwrap();
        assert!(file.add(&page).unwrap());
        assert!(file.add(&PageText::empty(2, Source::OcrLayer)).unwrap());
        file.finish("eakte \"x\"").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(r#"[10,21,1000000,0,91,3,"„Größe“"]"#), "{text}");
        assert!(text.contains(r#"{"number":2,"source":"ocr-layer","text":""}"#), "{text}");
        let read: PageTexts = serde_json::from_str(&text).unwrap();
        assert_eq!(read.format, FORMAT);
        assert_eq!(read.engine, "eakte \"x\"");
        assert_eq!(read.pages[0], page);
    }
}
