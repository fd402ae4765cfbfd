//! The index's fields.
//!
//! Every document is one uninterrupted group of entries: its metadata first (ordinal 0), then its pages. The group is
//! written as one batch and merges keep the order, so an entry's document is found by subtracting its ordinal.

use tantivy::schema::{
    BytesOptions, Field, IndexRecordOption, NumericOptions, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::TokenizerManager;

use super::analysis::{GermanTokenizer, tokenizer_name};

pub(super) const ORDINAL: &str = "ordinal";
pub(super) const PAGE: &str = "page";
pub(super) const DAY: &str = "day";
pub(super) const LABEL: &str = "label";
pub(super) const UNIT: &str = "unit";
pub(super) const KIND: &str = "kind";

/// Layout version: part of a field's name, so that another layout is another schema.
const LAYOUT: &str = "record_2";

/// Handles of the fields.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    pub(super) schema: Schema,
    /// The document's id, 16 bytes, for replacing and removing.
    pub(super) document: Field,
    /// The case file's id, 16 bytes, for searching within one.
    pub(super) case_file: Field,
    /// What is searched: a page's text, or the metadata on the metadata entry.
    pub(super) text: Field,
    /// A page's text for snippets.
    pub(super) body: Field,
    /// The metadata as JSON.
    pub(super) record: Field,
    /// Place within the document's group.
    pub(super) ordinal: Field,
    /// Page number, 0 on the metadata entry.
    pub(super) page: Field,
    /// The document's date as yyyymmdd, 0 without one.
    pub(super) day: Field,
    pub(super) label: Field,
    pub(super) unit: Field,
    pub(super) kind: Field,
}

impl Fields {
    pub(super) fn new() -> Self {
        let mut builder = Schema::builder();
        let id = BytesOptions::default().set_indexed();
        let indexing = TextFieldIndexing::default()
            .set_tokenizer(&tokenizer_name())
            .set_index_option(IndexRecordOption::WithFreqsAndPositions);
        let number = NumericOptions::default().set_fast();
        let name = TextOptions::default().set_fast("raw");
        let document = builder.add_bytes_field("document", id.clone());
        let case_file = builder.add_bytes_field("case_file", id);
        let text = builder.add_text_field("text", TextOptions::default().set_indexing_options(indexing));
        let body = builder.add_text_field("body", TextOptions::default().set_stored());
        let record = builder.add_text_field(LAYOUT, TextOptions::default().set_stored());
        let ordinal = builder.add_u64_field(ORDINAL, number.clone());
        let page = builder.add_u64_field(PAGE, number.clone());
        let day = builder.add_u64_field(DAY, number);
        let label = builder.add_text_field(LABEL, name.clone());
        let unit = builder.add_text_field(UNIT, name.clone());
        let kind = builder.add_text_field(KIND, name);
        let schema = builder.build();
        Self { schema, document, case_file, text, body, record, ordinal, page, day, label, unit, kind }
    }
}

/// The analysers by the names the schema uses.
pub(super) fn tokenizers() -> TokenizerManager {
    let manager = TokenizerManager::default();
    manager.register(&tokenizer_name(), GermanTokenizer);
    manager
}
