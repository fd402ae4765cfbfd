//! Searchable PDF/A from pictures: an independent validator accepts it, other readers find the text, and the pictures
//! inside are the ones that went in.

use eakte::extract::Format;
use eakte::extract::page::{Encoded, Picture, Samples, Turn, Word};
use eakte::extract::pdf_picture::page_picture;
use eakte::extract::pictures::{PictureLimits, pictures};
use eakte::extract::searchable::{Facts, SearchablePage, write};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

// ---- Helpers -------------------------------------------------------------------------------------------------------

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The corpora folder, or `None` after saying that the test is skipped.
fn corpora(test: &str) -> Option<PathBuf> {
    let folder = package().join("../shared/corpora");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: {test} (corpora absent)");
    None
}

/// What the validator says of each file.
fn validate(paths: &[PathBuf]) -> Vec<serde_json::Value> {
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

fn assert_valid(paths: &[PathBuf]) {
    for answer in validate(paths) {
        assert_eq!(answer["compliant"], true, "{answer:#}");
    }
}

/// The text that another reader finds, pages split by form feeds.
fn text_of(path: &Path) -> String {
    let output = Command::new("pdftotext").args(["-enc", "UTF-8"]).arg(path).arg("-").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn facts() -> Facts {
    Facts {
        title: "Antrag auf Straßensperrung <Kirmes> & Umzug – 3 €".into(),
        language: "de".into(),
        created: "2026-03-02T08:00:00Z".parse().unwrap(),
        producer: "eakte".into(),
    }
}

fn pdf(pages: Vec<SearchablePage>, folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let mut file = fs::File::create(&path).unwrap();
    write(&mut pages.into_iter(), &facts(), &mut file).unwrap();
    path
}

/// Rows of grey with something like lines of writing.
fn writing(width: u32, height: u32, seed: u32) -> Vec<u8> {
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

fn png(width: u32, height: u32, color: png::ColorType, depth: png::BitDepth, rows: &[u8]) -> Vec<u8> {
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
fn bits(pixels: &[u8], width: u32) -> Vec<u8> {
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

fn group_4(pixels: &[u8], width: u32) -> Vec<u8> {
    let mut encoder = fax::encoder::Encoder::new(fax::VecWriter::new());
    for row in pixels.chunks(width as usize) {
        let colors = row.iter().map(|&pixel| if pixel < 128 { fax::Color::Black } else { fax::Color::White });
        encoder.encode_line(colors, width).unwrap();
    }
    encoder.finish().unwrap().finish()
}

/// A TIFF directory entry's values.
enum Tag {
    Shorts(Vec<u16>),
    Longs(Vec<u32>),
    Ratio(u32, u32),
}

/// A TIFF file of pages, each given by its tags and its strips.
fn tiff(pages: Vec<(Vec<(u16, Tag)>, Vec<Vec<u8>>)>) -> Vec<u8> {
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
fn bilevel_tags(width: u32, height: u32, compression: u16, rows_per_strip: u32) -> Vec<(u16, Tag)> {
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

fn read(format: Format, bytes: &[u8]) -> Vec<Picture> {
    let limits = PictureLimits::default();
    pictures(format, bytes, &limits).unwrap().map(|page| page.unwrap()).collect()
}

/// Words in lines, as a recogniser gives them.
fn words(lines: &[&str], left: f32, top: f32, size: f32) -> Vec<Word> {
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

const LINES: [&str; 6] = [
    "Stadt Steverau · Der Bürgermeister",
    "Gebührenbescheid über 1.284,50 € für die",
    "Straßenreinigung in der Öffnung „Am Fließ“,",
    "Änderung gemäß § 12 Abs. 3 – ﬁnale Fassung",
    "Grüße 😀 aus dem Ærø-Weg, Nr. 7½ (Łódź, Ωmega)",
    "Mit freundlichen Grüßen",
];

// ---- What the validator and other readers say ----------------------------------------------------------------------

#[test]
fn pages_of_all_kinds_are_accepted_and_their_text_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (width, height) = (620, 877);
    let gray = writing(width, height, 7);
    let rgb: Vec<u8> = gray.iter().flat_map(|&shade| [shade, shade / 2 + 100, 255 - shade]).collect();
    let indexed: Vec<u8> = bits(&gray, width);
    let g4 = tiff(vec![(bilevel_tags(width, height, 4, height), vec![group_4(&gray, width)])]);
    let sources = [
        ("g4", Format::Tiff, g4),
        ("gray", Format::Png, png(width, height, png::ColorType::Grayscale, png::BitDepth::Eight, &gray)),
        ("rgb", Format::Png, png(width, height, png::ColorType::Rgb, png::BitDepth::Eight, &rgb)),
        ("bits", Format::Png, png(width, height, png::ColorType::Grayscale, png::BitDepth::One, &indexed)),
        ("indexed", Format::Png, png(width, height, png::ColorType::Indexed, png::BitDepth::One, &indexed)),
    ];
    let mut files = Vec::new();
    for (name, format, bytes) in sources {
        let picture = read(format, &bytes).remove(0);
        for turn in [Turn::None, Turn::Right, Turn::Half, Turn::Left] {
            let page = SearchablePage {
                picture: Picture { turn, ..picture.clone() },
                words: words(&LINES, 40.0, 60.0, 14.0),
            };
            files.push(pdf(vec![page], folder.path(), &format!("{name}-{turn:?}.pdf")));
        }
    }
    assert_valid(&files);
    for file in &files {
        let text = text_of(file);
        let found: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        // Poppler writes the letters of the fi ligature singly.
        let wanted: Vec<String> = LINES.iter().map(|line| line.replace('ﬁ', "fi")).collect();
        let found: Vec<String> =
            found.iter().map(|line| line.trim_matches('\u{c}').replace('ﬁ', "fi")).collect();
        assert_eq!(found, wanted, "{}", file.display());
    }
}

#[test]
fn pages_with_no_word_and_with_two_thousand_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let (width, height) = (2_480, 3_508);
    let code = group_4(&writing(width, height, 3), width);
    let picture = Picture {
        width,
        height,
        dpi: (300.0, 300.0),
        turn: Turn::None,
        data: Encoded::Group4 { bytes: code, black_is_1: false },
    };
    let line = "Wort ".repeat(20);
    let many = words(&vec![line.trim_end(); 100], 60.0, 60.0, 20.0);
    assert_eq!(many.len(), 2_000);
    let mut odd = words(&["gut"], 100.0, 100.0, 40.0);
    for (left, top, right, bottom) in [
        (f32::NAN, 0.0, 10.0, 10.0),
        (50.0, 50.0, 50.0, 60.0),
        (90.0, 60.0, 50.0, 90.0),
        (-900.0, 10.0, -800.0, 40.0),
        (0.0, 0.0, 1e9, 1e9),
        (0.0, f32::NEG_INFINITY, 10.0, f32::INFINITY),
    ] {
        odd.push(Word { text: "schlecht".into(), left, top, right, bottom, confidence: 1, line: 9 });
    }
    odd.push(Word { text: "\0\u{feff}\u{fffe}\n".into(), line: 10, ..odd[0].clone() });
    odd.push(Word {
        text: "l\0a\u{feff}ng".repeat(30),
        line: 11,
        right: 900.0,
        top: 300.0,
        bottom: 330.0,
        ..odd[0].clone()
    });
    odd.push(Word { text: "endlos".repeat(4_000), line: 12, top: 400.0, bottom: 430.0, ..odd[0].clone() });
    let pages = [Vec::new(), many, odd]
        .into_iter()
        .map(|words| SearchablePage { picture: picture.clone(), words })
        .collect();
    let file = pdf(pages, folder.path(), "words.pdf");
    assert_valid(std::slice::from_ref(&file));
    let text = text_of(&file);
    let pages: Vec<&str> = text.split('\u{c}').collect();
    assert_eq!(pages[0].trim(), "");
    assert_eq!(pages[1].split_whitespace().filter(|word| *word == "Wort").count(), 2_000);
    assert!(pages[2].contains("gut") && !pages[2].contains("schlecht"), "{}", pages[2]);
    assert!(pages[2].contains("langlang"));
}

#[test]
fn three_hundred_pages_are_accepted_and_small() {
    let folder = tempfile::tempdir().unwrap();
    let (width, height) = (1_240, 1_754);
    let code = group_4(&writing(width, height, 5), width);
    let line = "Aktenvermerk zur Straßenausbaubeitragssatzung der Stadt Steverau, Blatt 12/34";
    let size = code.len();
    let pages = (0..300).map(|_| SearchablePage {
        picture: Picture {
            width,
            height,
            dpi: (150.0, 150.0),
            turn: Turn::None,
            data: Encoded::Group4 { bytes: code.clone(), black_is_1: false },
        },
        words: words(&[line; 50], 60.0, 60.0, 18.0),
    });
    let count = pages.clone().next().unwrap().words.len();
    assert_eq!(count, 400);
    let file = pdf(pages.collect(), folder.path(), "long.pdf");
    let answers = validate(std::slice::from_ref(&file));
    assert_eq!(answers[0]["compliant"], true, "{:#}", answers[0]);
    assert_eq!(answers[0]["pages"], 300);
    let total = fs::metadata(&file).unwrap().len() as usize;
    assert!(total < (size + 12_000) * 300, "{total} bytes, {size} a picture");
    assert_eq!(text_of(&file).matches("Straßenausbaubeitragssatzung").count(), 300 * 50);
}

#[test]
fn the_validator_refuses_a_broken_file() {
    let folder = tempfile::tempdir().unwrap();
    let gray = writing(400, 600, 1);
    let page = SearchablePage {
        picture: read(Format::Png, &png(400, 600, png::ColorType::Grayscale, png::BitDepth::Eight, &gray))
            .remove(0),
        words: words(&["Amt"], 40.0, 40.0, 20.0),
    };
    let good = pdf(vec![page], folder.path(), "good.pdf");
    assert_valid(std::slice::from_ref(&good));
    let bytes = fs::read(&good).unwrap();
    // The same length, so that only what is named is wrong.
    let breaks: [(&str, &[u8], &[u8]); 4] = [
        ("intent", b"/OutputIntents", b"/OutputInvents"),
        ("part", b"<pdfaid:part>2<", b"<pdfaid:part>7<"),
        ("conformance", b"<pdfaid:conformance>U<", b"<pdfaid:conformance>X<"),
        ("colours", b"/DeviceGray", b"/DeviceCMYK"),
    ];
    let mut broken = Vec::new();
    for (name, from, to) in breaks {
        let at = bytes.windows(from.len()).position(|part| part == from).unwrap();
        let mut bytes = bytes.clone();
        bytes[at..at + to.len()].copy_from_slice(to);
        let path = folder.path().join(format!("{name}.pdf"));
        fs::File::create(&path).unwrap().write_all(&bytes).unwrap();
        broken.push(path);
    }
    for answer in validate(&broken) {
        assert_eq!(answer["compliant"], false, "{answer:#}");
    }
}

#[test]
fn the_same_pages_give_the_same_bytes() {
    let gray = writing(200, 300, 1);
    let page = SearchablePage {
        picture: read(Format::Png, &png(200, 300, png::ColorType::Grayscale, png::BitDepth::Eight, &gray))
            .remove(0),
        words: words(&LINES, 10.0, 10.0, 8.0),
    };
    let make = || {
        let mut out = Vec::new();
        write(&mut std::iter::once(page.clone()), &facts(), &mut out).unwrap();
        out
    };
    assert_eq!(make(), make());
    assert!(write(&mut std::iter::empty(), &facts(), &mut Vec::new()).is_err());
}

// ---- Pictures in and out -------------------------------------------------------------------------------------------

#[test]
fn what_goes_into_a_pdf_comes_out_untouched() {
    let (width, height) = (1_240, 1_754);
    let gray = writing(width, height, 11);
    let g4 = tiff(vec![(bilevel_tags(width, height, 4, height), vec![group_4(&gray, width)])]);
    for turn in [Turn::None, Turn::Right, Turn::Half, Turn::Left] {
        let picture = Picture { turn, ..read(Format::Tiff, &g4).remove(0) };
        assert_eq!(picture.data, Encoded::Group4 { bytes: group_4(&gray, width), black_is_1: false });
        let mut file = Vec::new();
        let page = SearchablePage { picture: picture.clone(), words: words(&["Amt"], 50.0, 50.0, 30.0) };
        write(&mut std::iter::once(page), &facts(), &mut file).unwrap();
        let document = lopdf::Document::load_mem(&file).unwrap();
        let back = page_picture(&document, 1).unwrap();
        assert_eq!(back.data, picture.data);
        assert_eq!(back.turn, turn);
        assert!((back.dpi.0 - 300.0).abs() < 0.5 && (back.dpi.1 - 300.0).abs() < 0.5, "{:?}", back.dpi);
        assert!(page_picture(&document, 2).is_none());
    }
}

#[test]
fn tiff_pages_of_all_codes_show_the_same() {
    let (width, height) = (333, 90);
    let gray = writing(width, height, 2);
    let plain = bits(&gray, width);
    let inverted: Vec<u8> = plain.iter().map(|byte| !byte).collect();
    let row = width.div_ceil(8) as usize;
    let limits = PictureLimits::default();
    let wanted: Vec<u8> = gray.iter().map(|&shade| if shade < 128 { 0 } else { 255 }).collect();
    let zlib = |bytes: &[u8]| {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let lzw = |bytes: &[u8]| {
        weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8).encode(bytes).unwrap()
    };
    let pack_bits = |bytes: &[u8]| {
        bytes.chunks(100).flat_map(|part| [&[part.len() as u8 - 1][..], part].concat()).collect::<Vec<u8>>()
    };
    let strips =
        |code: &dyn Fn(&[u8]) -> Vec<u8>| inverted.chunks(row * 40).map(code).collect::<Vec<Vec<u8>>>();
    let g4_strips = gray.chunks(width as usize * 40).map(|part| group_4(part, width)).collect();
    let pages = vec![
        (bilevel_tags(width, height, 1, 40), strips(&|part| part.to_vec())),
        (bilevel_tags(width, height, 5, 40), strips(&lzw)),
        (bilevel_tags(width, height, 8, 40), strips(&zlib)),
        (bilevel_tags(width, height, 32_773, 40), strips(&pack_bits)),
        (bilevel_tags(width, height, 4, 40), g4_strips),
        (bilevel_tags(width, height, 4, height), vec![group_4(&gray, width)]),
        {
            // Low bit first.
            let mut tags = bilevel_tags(width, height, 4, height);
            tags.push((266, Tag::Shorts(vec![2])));
            (tags, vec![group_4(&gray, width).iter().map(|byte| byte.reverse_bits()).collect()])
        },
        {
            // Black is zero: the code's black runs are white.
            let mut tags = bilevel_tags(width, height, 4, height);
            tags[4].1 = Tag::Shorts(vec![1]);
            let negative: Vec<u8> = gray.iter().map(|shade| 255 - shade).collect();
            (tags, vec![group_4(&negative, width)])
        },
    ];
    let count = pages.len();
    let file = tiff(pages);
    let read = read(Format::Tiff, &file);
    assert_eq!(read.len(), count);
    for (index, picture) in read.iter().enumerate() {
        let shown = picture.gray(&limits).unwrap();
        assert_eq!((shown.width, shown.height), (width, height), "page {index}");
        assert!(shown.pixels == wanted, "page {index} differs");
        assert!(matches!(picture.data, Encoded::Group4 { .. }), "page {index}");
        assert_eq!(picture.dpi, (300.0, 300.0), "page {index}");
    }
}

#[test]
fn orientations_turn_and_mirror() {
    // An F: 3 columns, 5 rows.
    let upright = [0, 0, 0, 0, 255, 255, 0, 0, 255, 0, 255, 255, 0, 255, 255];
    let at = |x: usize, y: usize| upright[y * 3 + x];
    let limits = PictureLimits::default();
    for code in 1..=8_u16 {
        // Where pixel (x, y) of the upright page is stored, by the TIFF specification.
        let (width, height) = if code < 5 { (3_usize, 5_usize) } else { (5, 3) };
        let mut stored = vec![0; 15];
        for y in 0..5 {
            for x in 0..3 {
                let (column, row) = match code {
                    1 => (x, y),
                    2 => (2 - x, y),
                    3 => (2 - x, 4 - y),
                    4 => (x, 4 - y),
                    5 => (y, x),
                    6 => (y, 2 - x),
                    7 => (4 - y, 2 - x),
                    _ => (4 - y, x),
                };
                stored[row * width + column] = at(x, y);
            }
        }
        let mut tags = bilevel_tags(width as u32, height as u32, 1, height as u32);
        tags[2].1 = Tag::Shorts(vec![8]);
        tags[4].1 = Tag::Shorts(vec![1]);
        tags.push((274, Tag::Shorts(vec![code])));
        let bits_page = {
            let mut tags = bilevel_tags(width as u32, height as u32, 4, height as u32);
            tags.push((274, Tag::Shorts(vec![code])));
            (tags, vec![group_4(&stored, width as u32)])
        };
        let file = tiff(vec![(tags, vec![stored]), bits_page]);
        for picture in read(Format::Tiff, &file) {
            let shown = picture.gray(&limits).unwrap();
            assert_eq!((shown.width, shown.height), (3, 5), "{code}");
            assert_eq!(shown.pixels, upright, "{code}");
        }
    }
}

#[test]
fn a_damaged_page_leaves_the_others() {
    let (width, height) = (333, 90);
    let gray = writing(width, height, 2);
    let good = || (bilevel_tags(width, height, 4, height), vec![group_4(&gray, width)]);
    let mut lying = bilevel_tags(width, height, 1, height);
    lying[0].1 = Tag::Longs(vec![4_000_000_000]);
    let mut empty = bilevel_tags(width, height, 1, height);
    empty[1].1 = Tag::Longs(vec![0]);
    let file = tiff(vec![
        good(),
        (lying, vec![vec![0; 40]]),
        (bilevel_tags(width, height, 5, height), vec![b"not a code at all".to_vec()]),
        (empty, vec![vec![0; 40]]),
        (bilevel_tags(width, height, 1, height), vec![vec![0; 40]]),
        (bilevel_tags(width, height, 34_712, height), vec![vec![0; 40]]),
        good(),
    ]);
    let limits = PictureLimits::default();
    let pages: Vec<_> = pictures(Format::Tiff, &file, &limits).unwrap().collect();
    let fine: Vec<bool> = pages.iter().map(Result::is_ok).collect();
    assert_eq!(fine, [true, false, false, false, false, false, true]);
    let few = PictureLimits { max_pages: 1, ..limits };
    assert_eq!(pictures(Format::Tiff, &file, &few).unwrap().filter(Result::is_ok).count(), 1);
    let small = PictureLimits { max_pixels: 100, ..limits };
    assert_eq!(pictures(Format::Tiff, &file, &small).unwrap().filter(Result::is_ok).count(), 0);
}

#[test]
fn any_cut_or_changed_byte_is_an_error_or_a_page_but_never_a_crash() {
    let (width, height) = (120, 40);
    let gray = writing(width, height, 4);
    let files = [
        (
            Format::Tiff,
            tiff(vec![(bilevel_tags(width, height, 4, 20), {
                gray.chunks(width as usize * 20).map(|part| group_4(part, width)).collect()
            })]),
        ),
        (Format::Png, png(width, height, png::ColorType::Grayscale, png::BitDepth::Eight, &gray)),
    ];
    let limits = PictureLimits { max_pixels: 1_000_000, max_pages: 50 };
    let look = |format: Format, bytes: &[u8]| {
        let Ok(pages) = pictures(format, bytes, &limits) else { return };
        for picture in pages.flatten() {
            let _ = picture.gray(&limits);
        }
    };
    for (format, bytes) in files {
        for length in 0..bytes.len() {
            look(format, &bytes[..length]);
        }
        for at in 0..bytes.len() {
            for change in [0x00, 0xff, bytes[at] ^ 0x01, bytes[at] ^ 0x80] {
                let mut bytes = bytes.clone();
                bytes[at] = change;
                look(format, &bytes);
            }
        }
    }
}

// ---- Real files, where they are at hand ----------------------------------------------------------------------------

fn picture_files(folder: &Path) -> Vec<(Format, PathBuf)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let format = match path.extension()?.to_str()?.to_lowercase().as_str() {
                "tif" | "tiff" => Format::Tiff,
                "jpg" | "jpeg" => Format::Jpeg,
                "png" => Format::Png,
                _ => return None,
            };
            Some((format, path))
        })
        .collect();
    files.sort_by(|left, right| left.1.cmp(&right.1));
    files
}

#[test]
fn real_pictures_become_accepted_files() {
    let Some(corpora) = corpora("real_pictures_become_accepted_files") else { return };
    let folder = tempfile::tempdir().unwrap();
    let limits = PictureLimits { max_pixels: 9_000_000, ..PictureLimits::default() };
    let (mut made, mut refused) = (Vec::new(), Vec::new());
    for source in ["images", "scans-misc", "scans-synthetic"] {
        for (format, path) in picture_files(&corpora.join(source)) {
            let bytes = fs::read(&path).unwrap();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let pages: Vec<_> = match pictures(format, &bytes, &limits) {
                Ok(pages) => pages.collect(),
                Err(fault) => vec![Err(fault)],
            };
            let mut good = Vec::new();
            for page in pages {
                match page.and_then(|picture| picture.gray(&limits).map(|_| picture)) {
                    Ok(picture) => {
                        good.push(SearchablePage { picture, words: words(&["Amt"], 9.0, 9.0, 12.0) })
                    }
                    Err(fault) => refused.push(format!("{source}/{name}: {fault}")),
                }
            }
            if !good.is_empty() {
                made.push(pdf(good, folder.path(), &format!("{source}-{name}.pdf")));
            }
        }
    }
    println!("{} made; refused:\n{}", made.len(), refused.join("\n"));
    assert!(made.len() > 50, "{}", made.len());
    assert_valid(&made);
}

#[test]
fn pages_of_real_pdfs_are_taken_over_or_left() {
    let Some(corpora) = corpora("pages_of_real_pdfs_are_taken_over_or_left") else { return };
    let folder = tempfile::tempdir().unwrap();
    let limits = PictureLimits::default();
    let mut made = Vec::new();
    let mut files: Vec<_> =
        fs::read_dir(corpora.join("pdf")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for path in files {
        let Ok(document) = lopdf::Document::load(&path) else { continue };
        let mut pages = Vec::new();
        for number in document.get_pages().into_keys().take(5) {
            if let Some(picture) = page_picture(&document, number)
                && u64::from(picture.width) * u64::from(picture.height) < 9_000_000
                && picture.gray(&limits).is_ok()
            {
                pages.push(SearchablePage { picture, words: Vec::new() });
            }
        }
        if !pages.is_empty() {
            println!("{}: {} pages", path.file_name().unwrap().to_string_lossy(), pages.len());
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            made.push(pdf(pages, folder.path(), &name));
        }
    }
    assert!(made.len() > 5, "{}", made.len());
    assert_valid(&made);
}

#[test]
fn real_scans_lie_as_they_look() {
    let Some(corpora) = corpora("real_scans_lie_as_they_look") else { return };
    let limits = PictureLimits::default();
    for (name, wanted, give) in [("clean-sans", 0.0, 0.15), ("blur-skew4", 4.0, 0.6)] {
        for index in 0..9 {
            let path = corpora.join(format!("scans-synthetic/o{index}_{name}.jpg"));
            let Ok(bytes) = fs::read(&path) else { continue };
            let gray = read(Format::Jpeg, &bytes).remove(0).gray(&limits).unwrap();
            let skew = gray.skew_degrees();
            assert!((skew.abs() - wanted).abs() <= give, "o{index}_{name}: {skew}");
            assert!(!gray.is_blank());
            let left = gray.deskewed(skew).gray().skew_degrees();
            assert!(left.abs() <= 0.15, "o{index}_{name}: {left} left");
        }
    }
}

#[test]
fn raw_samples_survive_packing() {
    let (width, height) = (97, 61);
    let noise: Vec<u8> =
        (0..width * height * 3).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for (samples, bytes) in [
        (Samples::Gray8, noise[..(width * height) as usize].to_vec()),
        (Samples::Rgb8, noise.clone()),
        (Samples::Bilevel, noise[..(13 * height) as usize].to_vec()),
    ] {
        let picture = Picture {
            width,
            height,
            dpi: (72.0, 72.0),
            turn: Turn::None,
            data: Encoded::Raw { bytes, samples },
        };
        let mut file = Vec::new();
        let page = SearchablePage { picture: picture.clone(), words: Vec::new() };
        write(&mut std::iter::once(page), &facts(), &mut file).unwrap();
        let back = page_picture(&lopdf::Document::load_mem(&file).unwrap(), 1).unwrap();
        let limits = PictureLimits::default();
        assert!(back.gray(&limits).unwrap() == picture.gray(&limits).unwrap(), "{samples:?}");
    }
}
