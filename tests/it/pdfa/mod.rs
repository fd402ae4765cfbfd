//! Searchable PDF/A from pictures: an independent validator accepts it, other readers find the text, and the pictures
//! inside are the ones that went in.
#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "the pages are small")]

mod pictures;
mod real;
mod samples;

use eakte::extract::Format;
use eakte::extract::page::{Encoded, Picture, Turn, Word};
use eakte::extract::searchable::{SearchablePage, write};
use samples::{
    LINES, assert_valid, bilevel_tags, bits, facts, group_4, pdf, png, read, text_of, tiff, validate, words,
    writing,
};
use std::fs;
use std::io::Write as _;

#[test]
fn pages_of_all_kinds_are_accepted_and_their_text_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (width, height) = (620, 877);
    let gray = writing(width, height, 7);
    let rgb: Vec<u8> = gray.iter().flat_map(|&shade| [shade, shade / 2 + 100, 255 - shade]).collect();
    let indexed: Vec<u8> = bits(&gray, width);
    let numbers: Vec<u8> = gray.chunks(2).map(|pair| ((pair[0] / 128) << 4) | (pair[1] / 128 + 2)).collect();
    let g4 = tiff(vec![(bilevel_tags(width, height, 4, height), vec![group_4(&gray, width)])]);
    let sources = [
        ("g4", Format::Tiff, g4),
        ("gray", Format::Png, png(width, height, png::ColorType::Grayscale, png::BitDepth::Eight, &gray)),
        ("rgb", Format::Png, png(width, height, png::ColorType::Rgb, png::BitDepth::Eight, &rgb)),
        ("bits", Format::Png, png(width, height, png::ColorType::Grayscale, png::BitDepth::One, &indexed)),
        ("indexed", Format::Png, png(width, height, png::ColorType::Indexed, png::BitDepth::One, &indexed)),
        ("colors", Format::Png, png(width, height, png::ColorType::Indexed, png::BitDepth::Four, &numbers)),
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

#[test]
fn a_page_scanned_askew_is_shown_straight() {
    let folder = tempfile::tempdir().unwrap();
    let (width, height) = (1_240, 1_754);
    let picture = Picture {
        width,
        height,
        dpi: (150.0, 150.0),
        turn: Turn::None,
        data: Encoded::Group4 { bytes: group_4(&writing(width, height, 5), width), black_is_1: false },
    };
    let long = "Die Satzung tritt am Tage nach ihrer Bekanntmachung in Kraft und gilt";
    for degrees in [-6.0_f32, -1.2, 0.2, 3.5] {
        let mut askew = words(&[long; 20], 100.0, 300.0, 20.0);
        for word in &mut askew {
            let middle = f32::midpoint(word.left, word.right);
            let fall = (middle - 600.0) * degrees.to_radians().tan();
            word.top += fall;
            word.bottom += fall;
        }
        let page = SearchablePage { picture: picture.clone(), words: askew };
        let file = pdf(vec![page], folder.path(), &format!("askew{degrees}.pdf"));
        assert_valid(std::slice::from_ref(&file));
        let text = text_of(&file);
        let found: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        assert_eq!(found, [long; 20], "{degrees}");
        // The picture is there as it was, only its place is turned.
        let document = lopdf::Document::load(&file).unwrap();
        let Encoded::Group4 { bytes, .. } = &picture.data else { unreachable!() };
        let kept = document
            .objects
            .values()
            .any(|object| object.as_stream().is_ok_and(|found| &found.content == bytes));
        assert!(kept, "{degrees}");
    }
}
