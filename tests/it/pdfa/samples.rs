//! Pages to write, and what other programs say about the result.
#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "the pages are small")]

use eakte::extract::Format;
use eakte::extract::page::{Picture, Word};
use eakte::extract::pictures::{PictureLimits, pictures};
use eakte::extract::searchable::{Facts, SearchablePage, write};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(super) fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The corpora folder, or `None` after saying that the test is skipped.
pub(super) fn corpora(test: &str) -> Option<PathBuf> {
    let folder = package().join("../shared/corpora");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: {test} (corpora absent)");
    None
}

/// What the validator says of each file.
pub(super) fn validate(paths: &[PathBuf]) -> Vec<serde_json::Value> {
    let python =
        std::env::var_os("EAKTE_PYTHON").map_or_else(|| package().join(".venv/bin/python"), PathBuf::from);
    assert!(
        python.exists(),
        "the PDF/A validator is not installed: run `make test`, which installs it (looked for {})",
        python.display()
    );
    let output =
        Command::new(python).arg(package().join("tests/pdfa/check.py")).args(paths).output().unwrap();
    let answers: Vec<serde_json::Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), paths.len(), "{}", String::from_utf8_lossy(&output.stderr));
    answers
}

pub(super) fn assert_valid(paths: &[PathBuf]) {
    for answer in validate(paths) {
        assert_eq!(answer["compliant"], true, "{answer:#}");
    }
}

/// The text that another reader finds, pages split by form feeds.
pub(super) fn text_of(path: &Path) -> String {
    let output = Command::new("pdftotext").args(["-enc", "UTF-8"]).arg(path).arg("-").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub(super) fn facts() -> Facts {
    Facts {
        title: "Antrag auf Straßensperrung <Kirmes> & Umzug – 3 €".into(),
        language: "de".into(),
        created: "2026-03-02T08:00:00Z".parse().unwrap(),
        producer: "eakte".into(),
    }
}

pub(super) fn pdf(pages: Vec<SearchablePage>, folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let mut file = fs::File::create(&path).unwrap();
    write(&mut pages.into_iter(), &facts(), &mut file).unwrap();
    path
}

/// Rows of grey with something like lines of writing.
pub(super) fn writing(width: u32, height: u32, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut pixels = vec![250_u8; (width * height) as usize];
    for y in 0..height {
        for x in 0..width {
            if y / 14 % 3 == 1 && x > width / 10 && x < width * 9 / 10 {
                if x % 3 == 0 {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                }
                if state >> 31 == 1 {
                    pixels[(y * width + x) as usize] = 20;
                }
            }
        }
    }
    pixels
}

pub(super) fn png(
    width: u32,
    height: u32,
    color: png::ColorType,
    depth: png::BitDepth,
    rows: &[u8],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if color == png::ColorType::Indexed {
        encoder.set_palette(vec![255, 255, 255, 0, 0, 0, 200, 30, 30, 30, 30, 200]);
    }
    encoder.set_pixel_dims(Some(png::PixelDimensions { xppu: 11_811, yppu: 11_811, unit: png::Unit::Meter }));
    encoder.write_header().unwrap().write_image_data(rows).unwrap();
    bytes
}

/// Rows of bits (0 is black) from grey.
pub(super) fn bits(pixels: &[u8], width: u32) -> Vec<u8> {
    let mut rows = Vec::new();
    for row in pixels.chunks(width as usize) {
        for part in row.chunks(8) {
            let byte = part
                .iter()
                .enumerate()
                .fold(0xff_u8, |byte, (at, &pixel)| if pixel < 128 { byte & !(0x80 >> at) } else { byte });
            rows.push(byte);
        }
    }
    rows
}

pub(super) fn group_4(pixels: &[u8], width: u32) -> Vec<u8> {
    let mut encoder = fax::encoder::Encoder::new(fax::VecWriter::new());
    for row in pixels.chunks(width as usize) {
        let colors = row.iter().map(|&pixel| if pixel < 128 { fax::Color::Black } else { fax::Color::White });
        encoder.encode_line(colors, width).unwrap();
    }
    encoder.finish().unwrap().finish()
}

/// A TIFF directory entry's values.
pub(super) enum Tag {
    Shorts(Vec<u16>),
    Longs(Vec<u32>),
    Ratio(u32, u32),
}

/// Tags and strips.
pub(super) type TiffPage = (Vec<(u16, Tag)>, Vec<Vec<u8>>);

/// A TIFF file of pages, each given by its tags and its strips.
pub(super) fn tiff(pages: Vec<TiffPage>) -> Vec<u8> {
    let mut file = b"II*\0\0\0\0\0".to_vec();
    let mut link = 4;
    for (mut tags, strips) in pages {
        let offsets: Vec<u32> = strips
            .iter()
            .map(|strip| {
                let at = file.len() as u32;
                file.extend(strip);
                at
            })
            .collect();
        tags.push((273, Tag::Longs(offsets)));
        tags.push((279, Tag::Longs(strips.iter().map(|strip| strip.len() as u32).collect())));
        tags.sort_by_key(|(tag, _)| *tag);
        let mut entries = Vec::new();
        for (tag, values) in &tags {
            let (kind, count, data): (u16, u32, Vec<u8>) = match values {
                Tag::Shorts(all) => {
                    (3, all.len() as u32, all.iter().flat_map(|one| one.to_le_bytes()).collect())
                }
                Tag::Longs(all) => {
                    (4, all.len() as u32, all.iter().flat_map(|one| one.to_le_bytes()).collect())
                }
                Tag::Ratio(up, down) => (5, 1, [up.to_le_bytes(), down.to_le_bytes()].concat()),
            };
            entries.extend(tag.to_le_bytes());
            entries.extend(kind.to_le_bytes());
            entries.extend(count.to_le_bytes());
            if data.len() <= 4 {
                entries.extend(&data);
                entries.resize(entries.len().next_multiple_of(4), 0);
            } else {
                entries.extend((file.len() as u32).to_le_bytes());
                file.extend(data);
            }
        }
        let here = file.len() as u32;
        file[link..link + 4].copy_from_slice(&here.to_le_bytes());
        file.extend((tags.len() as u16).to_le_bytes());
        file.extend(entries);
        link = file.len();
        file.extend([0; 4]);
    }
    file
}

/// Tags of a black and white page at 300 dpi.
pub(super) fn bilevel_tags(
    width: u32,
    height: u32,
    compression: u16,
    rows_per_strip: u32,
) -> Vec<(u16, Tag)> {
    vec![
        (256, Tag::Longs(vec![width])),
        (257, Tag::Longs(vec![height])),
        (258, Tag::Shorts(vec![1])),
        (259, Tag::Shorts(vec![compression])),
        (262, Tag::Shorts(vec![0])),
        (277, Tag::Shorts(vec![1])),
        (278, Tag::Longs(vec![rows_per_strip])),
        (282, Tag::Ratio(300, 1)),
        (283, Tag::Ratio(300, 1)),
        (296, Tag::Shorts(vec![2])),
    ]
}

pub(super) fn read(format: Format, bytes: &[u8]) -> Vec<Picture> {
    let limits = PictureLimits::default();
    pictures(format, bytes, &limits).unwrap().map(|page| page.unwrap()).collect()
}

/// Words in lines, as a recogniser gives them.
pub(super) fn words(lines: &[&str], left: f32, top: f32, size: f32) -> Vec<Word> {
    let mut words = Vec::new();
    for (line, text) in (0..).zip(lines) {
        let mut at = left;
        for word in text.split(' ') {
            let width = word.chars().count() as f32 * size * 0.55;
            let upper = top + line as f32 * size * 1.6;
            words.push(Word {
                text: word.into(),
                left: at,
                top: upper,
                right: at + width,
                bottom: upper + size,
                confidence: 95,
                line,
            });
            at += width + size * 0.4;
        }
    }
    words
}

pub(super) const LINES: [&str; 6] = [
    "Stadt Steverau · Der Bürgermeister",
    "Gebührenbescheid über 1.284,50 € für die",
    "Straßenreinigung in der Öffnung „Am Fließ“,",
    "Änderung gemäß § 12 Abs. 3 – ﬁnale Fassung",
    "Grüße 😀 aus dem Ærø-Weg, Nr. 7½ (Łódź, Ωmega)",
    "Mit freundlichen Grüßen",
];
