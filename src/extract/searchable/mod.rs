//! Writes searchable PDF/A-2u: pictures as they are stored, the words over them as invisible text.
//!
//! The file is written page after page: objects go out as they come, the table that finds them goes last. Two pages
//! are in memory at most, whatever the document's length. Nothing in the file depends on the clock or on chance, so
//! that the same pages give the same bytes.

mod font;
mod layer;
mod metadata;
mod objects;
mod picture;
mod profile;
mod text;

use super::page::{Picture, Turn, Word};
use super::pictures::PictureError;
use font::Letters;
pub(super) use layer::{Layer, Place};
use lopdf::{Object, dictionary};
use objects::{Id, Sink};
use std::io::{self, Write};

/// A page for the file.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchablePage {
    /// What is seen.
    pub picture: Picture,
    /// What is found, in pixels of the upright picture, in reading order.
    pub words: Vec<Word>,
}

/// What the file says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Title; may be empty.
    pub title: String,
    /// Language tag such as `de`.
    pub language: String,
    /// When the file was made.
    pub created: jiff::Timestamp,
    /// The program that made it.
    pub producer: String,
}

/// Why the file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SearchableError {
    /// There was no page.
    #[error("Ein PDF braucht mindestens eine Seite.")]
    NoPages,
    /// A picture had to be unpacked and could not be.
    #[error("Das Bild der Seite {page} lässt sich nicht übernehmen.")]
    Picture {
        /// Counted from 1.
        page: u32,
        /// The cause.
        source: PictureError,
    },
    /// The target takes no bytes.
    #[error("Das PDF lässt sich nicht schreiben.")]
    Io(#[from] io::Error),
}

/// Pages in a node of the page tree: readers need not look through a list of thousands.
const PAGES_IN_NODE: usize = 64;
/// PDF's limits for the sides of a page, in points.
const SIDES: std::ops::RangeInclusive<f32> = 3.0..=14_400.0;

/// Writes the pages as one PDF/A-2u file.
///
/// # Errors
/// When there is no page, when a picture that PDF/A may not hold as it is cannot be decoded, or when writing fails.
pub fn write(
    pages: &mut dyn Iterator<Item = SearchablePage>,
    facts: &Facts,
    out: &mut dyn Write,
) -> Result<(), SearchableError> {
    let mut sink = Sink::start(out)?;
    let (catalog, tree, font) = (sink.reserve(), sink.reserve(), sink.reserve());
    let mut letters = Letters::default();
    let mut nodes: Vec<(Id, usize)> = Vec::new();
    let mut node = sink.reserve();
    let mut leaves: Vec<Id> = Vec::new();
    for (page_number, page) in (1..).zip(pages) {
        if leaves.len() == PAGES_IN_NODE {
            nodes.push((node, leaves.len()));
            write_node(&mut sink, node, tree, &leaves)?;
            node = sink.reserve();
            leaves.clear();
        }
        let sheet = Sheet::of(&page.picture);
        let image = picture::write(&mut sink, &page.picture).map_err(|fault| fault.on_page(page_number))?;
        let content = text::content(&sheet, &page.words, &mut letters);
        let (width, height) = (number(content.width), number(content.height));
        let content = sink.packed_stream(dictionary! {}, &content.commands)?;
        let leaf = sink.reserve();
        sink.object(
            leaf,
            &Object::Dictionary(dictionary! {
                "Type" => "Page",
                "Parent" => node,
                "MediaBox" => vec![0.into(), 0.into(), width, height],
                "Resources" => dictionary! {
                    "XObject" => dictionary! { "Scan" => image },
                    "Font" => dictionary! { "Text" => font },
                },
                "Contents" => content,
            }),
        )?;
        leaves.push(leaf);
    }
    if leaves.is_empty() {
        return Err(SearchableError::NoPages);
    }
    nodes.push((node, leaves.len()));
    write_node(&mut sink, node, tree, &leaves)?;
    let count: usize = nodes.iter().map(|(_, count)| count).sum();
    let kids = nodes.iter().map(|&(id, _)| Object::Reference(id)).collect();
    sink.object(
        tree,
        &Object::Dictionary(
            dictionary! { "Type" => "Pages", "Kids" => Object::Array(kids), "Count" => whole(count) },
        ),
    )?;
    font::write(&mut sink, font, &letters)?;
    let info = metadata::write_catalog(&mut sink, catalog, tree, facts)?;
    sink.finish(catalog, info)?;
    Ok(())
}

fn write_node(sink: &mut Sink<'_>, node: Id, tree: Id, leaves: &[Id]) -> io::Result<()> {
    let kids = leaves.iter().map(|&id| Object::Reference(id)).collect();
    sink.object(
        node,
        &Object::Dictionary(dictionary! {
            "Type" => "Pages",
            "Parent" => tree,
            "Kids" => Object::Array(kids),
            "Count" => whole(leaves.len()),
        }),
    )
}

/// The upright page: its size in points, and points a pixel.
struct Sheet {
    width: f32,
    height: f32,
    scale: (f32, f32),
    turn: Turn,
}

impl Sheet {
    fn of(picture: &Picture) -> Self {
        let points = |pixels: u32, dpi: f32| {
            let dpi = if dpi.is_finite() && dpi > 0.0 { dpi } else { 300.0 };
            let scale = 72.0 / dpi;
            (px(pixels) * scale, scale)
        };
        let (mut across, mut down) =
            (points(picture.width, picture.dpi.0), points(picture.height, picture.dpi.1));
        if matches!(picture.turn, Turn::Left | Turn::Right) {
            std::mem::swap(&mut across, &mut down);
        }
        // A picture of 9 × 9 pixels at 600 dpi, or a plan of 6 m: both get a page that readers open.
        let (short, long) = (across.0.min(down.0), across.0.max(down.0));
        let zoom = if long > *SIDES.end() {
            SIDES.end() / long
        } else if short > 0.0 && short < *SIDES.start() {
            SIDES.start() / short
        } else {
            1.0
        };
        let side = |length: f32| (length * zoom).clamp(*SIDES.start(), *SIDES.end());
        Self {
            width: side(across.0),
            height: side(down.0),
            scale: (across.1 * zoom, down.1 * zoom),
            turn: picture.turn,
        }
    }
}

/// A number with no more digits than a printer could show.
fn number(value: f32) -> Object {
    let hundredths = (value * 100.0).round() / 100.0;
    #[expect(clippy::cast_possible_truncation, reason = "compared with what it came from")]
    let whole = hundredths as i64;
    if (px_i(whole) - hundredths).abs() < f32::EPSILON {
        Object::Integer(whole)
    } else {
        Object::Real(hundredths)
    }
}

fn whole(count: usize) -> Object {
    Object::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}

#[expect(clippy::cast_precision_loss, reason = "a page has far fewer than 2^24 pixels a side")]
fn px(count: u32) -> f32 {
    count as f32
}

#[expect(clippy::cast_precision_loss, reason = "a page has far fewer than 2^24 points a side")]
fn px_i(count: i64) -> f32 {
    count as f32
}
