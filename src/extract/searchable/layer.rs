//! The searchable version of a PDF that is no stack of pictures: the file as it is, byte for byte, and behind it an
//! update that lays unseen words over those pages that are scans.
//!
//! Such a file makes no claim to be PDF/A: what the original brings along is not ours to vouch for, and a claim that
//! it makes itself is taken back (ADR 0005).

use super::super::page::Word;
use super::font::{self, Letters};
use super::objects::{Id, Target, pack};
use super::text::words_on;
use super::{number, px};
use lopdf::{Dictionary, Document, IncrementalDocument, LoadOptions, Object, ObjectId, Stream, dictionary};
use std::io::{self, Write};

/// Where a page's picture lies, in the page's own coordinates: its upright lower left, lower right and upper left
/// corners.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) struct Place(pub(in super::super) [(f64, f64); 3]);

impl Place {
    /// The same corners of the picture after it was turned clockwise.
    fn turned(self, degrees: u16) -> Self {
        let Self([lower_left, lower_right, upper_left]) = self;
        let upper_right =
            (lower_right.0 + upper_left.0 - lower_left.0, lower_right.1 + upper_left.1 - lower_left.1);
        Self(match degrees % 360 {
            90 => [lower_right, upper_right, lower_left],
            180 => [upper_right, upper_left, lower_right],
            270 => [upper_left, lower_left, upper_right],
            _ => self.0,
        })
    }
}

/// Why the update could not be written.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum LayerError {
    /// The file's structure cannot be read, or not without mending it.
    #[error("the file cannot be updated ({0})")]
    Structure(&'static str),
    /// The file's structure cannot be read.
    #[error("the file cannot be updated: {0}")]
    Pdf(#[from] lopdf::Error),
    /// The target takes no bytes.
    #[error("the update cannot be written: {0}")]
    Io(#[from] io::Error),
}

/// Words of scanned pages, ready to be laid over them.
#[derive(Default)]
pub(in super::super) struct Layer {
    letters: Letters,
    pages: Vec<Page>,
}

struct Page {
    number: u32,
    size: (f32, f32),
    /// From points of the upright page to the page's own coordinates.
    matrix: [f64; 6],
    commands: Vec<u8>,
}

impl Layer {
    /// Whether there is nothing to lay over any page.
    pub(in super::super) fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// Takes a page's words, which are in pixels of its picture of this size after the turn.
    pub(in super::super) fn add(
        &mut self,
        page_number: u32,
        place: Place,
        turn: u16,
        (width, height): (u32, u32),
        words: &[Word],
    ) -> io::Result<()> {
        let Place([origin, right, up]) = place.turned(turn);
        let sides = [(right.0 - origin.0, right.1 - origin.1), (up.0 - origin.0, up.1 - origin.1)];
        #[expect(clippy::cast_possible_truncation, reason = "lengths of pages")]
        let [across, down] = sides.map(|(x, y)| x.hypot(y) as f32);
        let sane = |length: f32| length.is_finite() && length > 1.0;
        if !sane(across) || !sane(down) || width == 0 || height == 0 {
            return Ok(());
        }
        let scale = (across / px(width), down / px(height));
        let commands = words_on((across, down), scale, words, &mut self.letters);
        if commands.is_empty() {
            return Ok(());
        }
        let unit = |(x, y): (f64, f64), length: f32| (x / f64::from(length), y / f64::from(length));
        let ((a, b), (c, d)) = (unit(sides[0], across), unit(sides[1], down));
        self.pages.push(Page {
            number: page_number,
            size: (across, down),
            matrix: [a, b, c, d, origin.0, origin.1],
            commands: pack(&commands)?,
        });
        Ok(())
    }

    /// Writes the file and the update.
    pub(in super::super) fn write(
        &self,
        original: Vec<u8>,
        max_unpacked_bytes: usize,
        out: &mut dyn Write,
    ) -> Result<(), LayerError> {
        if !original.starts_with(b"%PDF-") {
            return Err(LayerError::Structure("something stands before its beginning"));
        }
        let options = LoadOptions::with_max_decompressed_size(max_unpacked_bytes);
        let document = Document::load_mem_with_options(&original, options)?;
        if document.is_encrypted() || document.encryption_state.is_some() {
            return Err(LayerError::Structure("it is encrypted"));
        }
        // A table that had to be guessed cannot be continued.
        if document.xref_start == 0 {
            return Err(LayerError::Structure("its table is missing"));
        }
        let numbers = document.get_pages();
        let mut update = IncrementalDocument::create_from(original, document);
        let (text, begin) = {
            let mut target = Objects(&mut update.new_document);
            let text = target.reserve();
            font::write(&mut target, text, &self.letters)?;
            (text, target.packed_stream(dictionary! {}, b"q\n")?)
        };
        for page in &self.pages {
            let id = *numbers.get(&page.number).ok_or(LayerError::Structure("a page is not found"))?;
            add(&mut update, id, page, text, begin)?;
        }
        withdraw_claim(&mut update)?;
        update.save_to(&mut { out })?;
        Ok(())
    }
}

/// Lays words over a page. What the page shows is put in brackets, so that it cannot move them.
fn add(
    update: &mut IncrementalDocument,
    id: ObjectId,
    page: &Page,
    font: Id,
    begin: Id,
) -> Result<(), LayerError> {
    let name = format!("EAkteText{}", page.number);
    let matrix = page.matrix.map(|part| {
        #[expect(clippy::cast_possible_truncation, reason = "a PDF's numbers are no finer")]
        Object::Real(part as f32)
    });
    let form = dictionary! {
        "Type" => "XObject",
        "Subtype" => "Form",
        "BBox" => vec![0.into(), 0.into(), number(page.size.0), number(page.size.1)],
        "Matrix" => matrix.to_vec(),
        "Resources" => dictionary! { "Font" => dictionary! { "Text" => font } },
        "Filter" => "FlateDecode",
    };
    let form = update.new_document.add_object(Stream::new(form, page.commands.clone()));
    let end = format!("\nQ q /{name} Do Q\n");
    let end = Objects(&mut update.new_document).packed_stream(dictionary! {}, end.as_bytes())?;
    let shown = contents(update.get_prev_documents(), id)?;
    let parts = std::iter::once(Object::Reference(begin)).chain(shown).chain([Object::Reference(end)]);
    let parts: Vec<Object> = parts.collect();
    update.opt_clone_object_to_new_document(id)?;
    update.new_document.get_object_mut(id)?.as_dict_mut()?.set("Contents", parts);
    // The library says nothing when there is no place for it: the resources are asked for first.
    update.get_or_create_resources(id)?.as_dict()?;
    update.add_xobject(id, name, form)?;
    Ok(())
}

/// The streams that show a page.
fn contents(document: &Document, page: ObjectId) -> Result<Vec<Object>, LayerError> {
    let page = document.get_dictionary(page)?;
    let Ok(shown) = page.get(b"Contents") else { return Ok(Vec::new()) };
    Ok(match shown {
        Object::Array(parts) => parts.clone(),
        Object::Reference(id) => match document.get_object(*id)? {
            Object::Array(parts) => parts.clone(),
            _ => vec![shown.clone()],
        },
        _ => Vec::new(),
    })
}

/// Takes back the claim to be PDF/A, with the description that makes it.
fn withdraw_claim(update: &mut IncrementalDocument) -> Result<(), LayerError> {
    let document = update.get_prev_documents();
    let catalog = document.trailer.get(b"Root")?.as_reference()?;
    let Ok(described) = document.get_dictionary(catalog)?.get(b"Metadata") else { return Ok(()) };
    let claims = match document.dereference(described).map(|(_, object)| object.as_stream()) {
        Ok(Ok(stream)) => {
            let plain = stream.decompressed_content().unwrap_or_else(|_| stream.content.clone());
            plain.windows(6).any(|window| window == b"pdfaid")
        }
        _ => true,
    };
    if claims {
        update.opt_clone_object_to_new_document(catalog)?;
        update.new_document.get_object_mut(catalog)?.as_dict_mut()?.remove(b"Metadata");
    }
    Ok(())
}

/// Objects of an update.
struct Objects<'d>(&'d mut Document);

impl Target for Objects<'_> {
    fn reserve(&mut self) -> Id {
        self.0.new_object_id()
    }

    fn object(&mut self, id: Id, object: &Object) -> io::Result<()> {
        self.0.set_object(id, object.clone());
        Ok(())
    }

    fn packed_stream(&mut self, mut dictionary: Dictionary, bytes: &[u8]) -> io::Result<Id> {
        dictionary.set("Filter", "FlateDecode");
        Ok(self.0.add_object(Stream::new(dictionary, pack(bytes)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turned_picture_has_its_corners_elsewhere() {
        let place = Place([(0.0, 0.0), (2.0, 0.0), (0.0, 3.0)]);
        assert_eq!(place.turned(0), place);
        // Turned clockwise by a quarter, what was right is below.
        assert_eq!(place.turned(90), Place([(2.0, 0.0), (2.0, 3.0), (0.0, 0.0)]));
        assert_eq!(place.turned(180), Place([(2.0, 3.0), (0.0, 3.0), (2.0, 0.0)]));
        assert_eq!(place.turned(90).turned(90), place.turned(180));
        assert_eq!(place.turned(90).turned(270), place);
    }
}
