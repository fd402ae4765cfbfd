//! Bodies that are no JSON, as the description of the interface shows them.

use super::fields::DocumentFacts;
use utoipa::ToSchema;

/// Bytes einer Datei, unverändert.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary, content_media_type = "application/octet-stream")]
#[expect(dead_code, reason = "describes bytes that are streamed and never held")]
pub(super) struct FileBytes(Vec<u8>);

/// Eine Datei als `multipart/form-data`: erst, wenn gewünscht, die Angaben, dann die Datei.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes parts that are read one after another")]
pub(super) struct DocumentForm {
    /// Angaben zur Datei als JSON; steht vor der Datei.
    metadata: Option<DocumentFacts>,
    /// Die Datei mit ihrem Namen.
    file: FileBytes,
}

/// Viele Dateien als `multipart/form-data`: je Datei, wenn gewünscht, ihre Angaben und gleich danach sie selbst.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes parts that are read one after another")]
pub(super) struct BatchForm {
    /// Angaben zur nächsten Datei als JSON; jeder solche Teil steht unmittelbar vor seiner Datei.
    metadata: Option<Vec<DocumentFacts>>,
    /// Die Dateien, jede ein eigener Teil; ihr Dateiname ist der Pfad in der Quelle.
    file: Vec<FileBytes>,
}
