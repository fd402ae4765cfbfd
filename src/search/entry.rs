//! What is put into the index: a document's metadata and its pages.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use tantivy::TantivyDocument;
use tantivy::schema::Document;
use uuid::Uuid;

use super::schema::Fields;

/// Longest page text kept, in bytes; a page of print has about 4,000.
pub const MAX_PAGE_BYTES: usize = 1 << 20;
/// Most text kept of one document, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 32 << 20;

/// A document's metadata, as searched and as shown with a hit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DocumentEntry {
    /// The document.
    pub document_id: Uuid,
    /// Akte: the case file it belongs to; none while it is in the inbox.
    pub case_file_id: Option<Uuid>,
    /// Opaque name of the group of documents that the same people may see.
    pub label: String,
    /// Aktenzeichen of the case file.
    pub file_reference: Option<String>,
    /// Betreff.
    pub title: Option<String>,
    /// The file's name at arrival.
    pub source_name: String,
    /// Dokumenttyp, for filtering.
    pub kind: Option<String>,
    /// Organisationseinheit, for filtering.
    pub unit: Option<String>,
    /// The document's own date.
    pub date: Option<Date>,
    /// Absender.
    pub sender: Option<String>,
    /// Title of the case file.
    pub case_file_title: Option<String>,
    /// Beteiligte, by name.
    pub parties: Vec<String>,
    /// Anything else to be found by, each with its German name: old signatures, index fields.
    pub keywords: Vec<(String, String)>,
}

/// One page's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageEntry {
    /// Counted from 1.
    pub number: u32,
    /// Plain text in reading order, lines as on the page.
    pub text: String,
}

/// What became of a document handed to the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Indexed {
    /// Pages with text.
    pub pages: u32,
    /// True when text beyond [`MAX_PAGE_BYTES`] or [`MAX_DOCUMENT_BYTES`] was left out.
    pub truncated: bool,
}

/// The metadata as stored on the document's first entry.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    #[serde(rename = "d")]
    pub(super) document_id: Uuid,
    #[serde(rename = "c", skip_serializing_if = "Option::is_none")]
    pub(super) case_file_id: Option<Uuid>,
    #[serde(rename = "r", skip_serializing_if = "Option::is_none")]
    pub(super) file_reference: Option<String>,
    #[serde(rename = "t", skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
    #[serde(rename = "s")]
    pub(super) source_name: String,
    #[serde(rename = "k", skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
    #[serde(rename = "u", skip_serializing_if = "Option::is_none")]
    pub(super) unit: Option<String>,
    #[serde(rename = "a", skip_serializing_if = "Option::is_none")]
    pub(super) date: Option<String>,
    /// Sender, case file's title, parties and keywords with their German names: searched, and shown only in snippets.
    #[serde(rename = "m", skip_serializing_if = "Vec::is_empty")]
    pub(super) more: Vec<(String, String)>,
}

impl Record {
    fn new(entry: &DocumentEntry) -> Self {
        let named = |name: &'static str| move |value: &String| (name.to_owned(), value.clone());
        let more = entry.case_file_title.iter().map(named("Akte"));
        let more = more.chain(entry.sender.iter().map(named("Absender")));
        let more = more.chain(entry.parties.iter().map(named("Beteiligte")));
        Self {
            document_id: entry.document_id,
            case_file_id: entry.case_file_id,
            file_reference: entry.file_reference.clone(),
            title: entry.title.clone(),
            source_name: entry.source_name.clone(),
            kind: entry.kind.clone(),
            unit: entry.unit.clone(),
            date: entry.date.map(|date| date.to_string()),
            more: more.chain(entry.keywords.iter().cloned()).collect(),
        }
    }

    /// The searched metadata, each value with its German name.
    pub(super) fn values(&self) -> impl Iterator<Item = (&str, &str)> {
        let named = [
            ("Betreff", self.title.as_deref()),
            ("Aktenzeichen", self.file_reference.as_deref()),
            ("Datei", Some(self.source_name.as_str())),
        ];
        let named = named.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let more = self.more.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        named.chain(more).filter(|(_, value)| !value.is_empty())
    }
}

/// The document's entries in writing order: metadata, then pages.
pub(super) fn entries(
    fields: &Fields,
    entry: &DocumentEntry,
    pages: impl IntoIterator<Item = PageEntry>,
    room: &Arc<Room>,
) -> Result<(Vec<Queued>, Indexed), serde_json::Error> {
    let record = Record::new(entry);
    let mut first = common(fields, entry, 0, 0);
    for (_, value) in record.values() {
        first.add_text(fields.text, cut(value, MAX_PAGE_BYTES));
    }
    first.add_text(fields.record, serde_json::to_string(&record)?);
    let mut all = vec![Queued::new(first, 1024, room)];
    let mut indexed = Indexed::default();
    let mut left = MAX_DOCUMENT_BYTES;
    for page in pages {
        let text = cut(&page.text, left.min(MAX_PAGE_BYTES));
        indexed.truncated |= text.len() < page.text.len();
        if text.trim().is_empty() {
            continue;
        }
        left -= text.len();
        let mut document = common(fields, entry, all.len() as u64, u64::from(page.number));
        document.add_text(fields.text, text);
        document.add_text(fields.body, text);
        all.push(Queued::new(document, 2 * text.len() + 512, room));
        indexed.pages += 1;
    }
    Ok((all, indexed))
}

fn common(fields: &Fields, entry: &DocumentEntry, ordinal: u64, page: u64) -> TantivyDocument {
    let mut document = TantivyDocument::with_capacity(256);
    document.add_bytes(fields.document, entry.document_id.as_bytes());
    if let Some(case_file) = entry.case_file_id {
        document.add_bytes(fields.case_file, case_file.as_bytes());
    }
    document.add_u64(fields.ordinal, ordinal);
    document.add_u64(fields.page, page);
    document.add_u64(fields.day, entry.date.map_or(0, day_number));
    document.add_text(fields.label, &entry.label);
    for (field, value) in [(fields.unit, &entry.unit), (fields.kind, &entry.kind)] {
        if let Some(value) = value {
            document.add_text(field, value);
        }
    }
    document
}

/// A date as yyyymmdd, which sorts as the date does; dates before the year 1 count as none.
pub(super) fn day_number(date: Date) -> u64 {
    let number = i64::from(date.year()) * 10_000 + i64::from(date.month()) * 100 + i64::from(date.day());
    u64::try_from(number).unwrap_or(0)
}

/// The longest beginning of `text` that fits and ends on a character boundary.
fn cut(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}

/// Room for text waiting to be indexed: tantivy bounds its queue by the number of documents only.
#[derive(Debug)]
pub(super) struct Room {
    bytes: Mutex<usize>,
    freed: Condvar,
    limit: usize,
}

impl Room {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { bytes: Mutex::new(0), freed: Condvar::new(), limit })
    }

    /// Waits until less than the limit is queued, so at most one document exceeds it.
    pub(super) fn wait(&self) {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        // Ten seconds without room mean that the indexing thread is stuck or gone; the next send then reports it.
        let full = |bytes: &mut usize| *bytes >= self.limit;
        drop(self.freed.wait_timeout_while(bytes, Duration::from_secs(10), full));
    }

    fn change(&self, change: impl FnOnce(&mut usize)) {
        change(&mut self.bytes.lock().unwrap_or_else(PoisonError::into_inner));
        self.freed.notify_all();
    }
}

/// Gives its bytes back when dropped.
#[derive(Debug)]
struct Share {
    bytes: usize,
    room: Arc<Room>,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.room.change(|bytes| *bytes = bytes.saturating_sub(self.bytes));
    }
}

/// An entry on its way to the indexing thread, holding its share of the room.
#[derive(Debug)]
pub(super) struct Queued {
    document: TantivyDocument,
    _share: Share,
}

impl Queued {
    fn new(document: TantivyDocument, bytes: usize, room: &Arc<Room>) -> Self {
        room.change(|queued| *queued += bytes);
        Self { document, _share: Share { bytes, room: Arc::clone(room) } }
    }
}

impl Document for Queued {
    type Value<'a> = <TantivyDocument as Document>::Value<'a>;
    type FieldsValuesIter<'a> = <TantivyDocument as Document>::FieldsValuesIter<'a>;

    fn iter_fields_and_values(&self) -> Self::FieldsValuesIter<'_> {
        self.document.iter_fields_and_values()
    }

    fn into_tantivy_document(self) -> TantivyDocument {
        self.document
    }
}
