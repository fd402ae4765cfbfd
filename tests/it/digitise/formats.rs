//! Kinds of pictures that scanners and cameras write, from files of our own (`fixtures/formats`).

use super::{codes, need_tesseract, reading_that, receive, texts};
use crate::support::TestArchive;
use eakte::domain::finding::FindingCode;
use eakte::extract::Format;
use eakte::extract::page::{Encoded, Turn};
use eakte::extract::pdf_picture::page_picture;
use eakte::extract::pictures::{PictureLimits, pictures};
use std::path::Path;

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/formats").join(name)).unwrap()
}

fn check(name: &str, expected: &[FindingCode]) {
    let town = TestArchive::new(true);
    let id = receive(&town, name, &fixture(name));
    let reading = reading_that(&town, id, |_| true);
    assert_eq!(codes(&reading), expected, "{name}: {reading:?}");
    assert_eq!((reading.data.pages, reading.data.ocr_pages), (1, 1), "{name}: {reading:?}");
    assert!(reading.data.pdf.is_some(), "{name}: {reading:?}");
    let text = texts(&town, id).pages.remove(0).text;
    for words in ["Probe der Formate", "Grüße aus der Färbergasse", "Straßenbauamt Steverau"] {
        assert!(text.contains(words), "{name}: {text}");
    }
}

#[test]
fn fax_codes_and_large_tiff_files_are_read() {
    need_tesseract();
    check("g3.tif", &[]);
    check("g3-2d.tif", &[]);
    check("big.tif", &[]);
    // They are what they are said to be.
    assert_eq!(&fixture("big.tif")[..4], b"II+\0");
}

#[test]
fn photographs_are_read_the_way_their_camera_was_held() {
    need_tesseract();
    for (name, turn) in [("exif-3.jpg", Turn::Half), ("exif-6.jpg", Turn::Right), ("exif-8.jpg", Turn::Left)]
    {
        check(name, &[]);
        let bytes = fixture(name);
        let mut pages = pictures(Format::Jpeg, &bytes, &PictureLimits::default()).unwrap();
        assert_eq!(pages.next().unwrap().unwrap().turn, turn, "{name}");
    }
    check("exif-5.jpg", &[]);
}

#[test]
fn pictures_coded_in_jbig2_and_jpeg_2000_are_read() {
    need_tesseract();
    check("jbig2.pdf", &[]);
    check("jbig2-symbols.pdf", &[FindingCode::SymbolCoded]);
    check("jpx.pdf", &[]);
    for (name, is_it) in [
        ("jbig2.pdf", (|data| matches!(data, Encoded::Jbig2 { .. })) as fn(&Encoded) -> bool),
        ("jpx.pdf", |data| matches!(data, Encoded::Jpeg2000 { .. })),
    ] {
        let document = lopdf::Document::load_mem(&fixture(name)).unwrap();
        let picture = page_picture(&document, 1).unwrap();
        assert!(is_it(&picture.data), "{name}");
    }
}

#[test]
fn a_picture_file_in_jpeg_2000_is_kept_and_says_that_it_is_not_read() {
    let town = TestArchive::new(true);
    let id = receive(&town, "jpx.jp2", &fixture("jpx.jp2"));
    let reading = reading_that(&town, id, |_| true);
    assert_eq!(codes(&reading), [FindingCode::NoText]);
    assert!(reading.data.pdf.is_none() && reading.data.text.is_none());
}
