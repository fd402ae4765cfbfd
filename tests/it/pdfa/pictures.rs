//! Pictures out of files and into PDFs: what is shown is what was stored.
#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "the pages are small")]

use super::samples::{Tag, bilevel_tags, bits, facts, group_4, png, read, tiff, words, writing};
use eakte::extract::Format;
use eakte::extract::page::{Encoded, Picture, Samples, Turn};
use eakte::extract::pdf_picture::page_picture;
use eakte::extract::pictures::{PictureLimits, pictures};
use eakte::extract::searchable::{SearchablePage, write};
use std::io::Write as _;

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
    let shown_pages = read(Format::Tiff, &file);
    assert_eq!(shown_pages.len(), count);
    for (index, picture) in shown_pages.iter().enumerate() {
        let shown = picture.gray(&limits).unwrap();
        assert_eq!((shown.width, shown.height), (width, height), "page {index}");
        assert!(shown.pixels == wanted, "page {index} differs");
        assert!(matches!(picture.data, Encoded::Group4 { .. }), "page {index}");
        assert_eq!(picture.dpi, (300.0, 300.0), "page {index}");
    }
}

/// Bytes of the chunks of this kind, put together.
fn chunks(png: &[u8], kind: &[u8]) -> Vec<u8> {
    let mut rest = &png[8..];
    let mut found = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        if after.starts_with(kind) {
            found.extend_from_slice(&after[4..4 + length]);
        }
        rest = &after[length + 8..];
    }
    found
}

#[test]
fn png_samples_go_into_a_pdf_as_they_are_packed() {
    use png::{BitDepth, ColorType};
    // Not a whole number of bytes in a row of two or four bits.
    let (width, height) = (333_u32, 90_u32);
    let limits = PictureLimits::default();
    for (color, depth, bits, channels) in [
        (ColorType::Grayscale, BitDepth::Two, 2, 1),
        (ColorType::Grayscale, BitDepth::Four, 4, 1),
        (ColorType::Grayscale, BitDepth::Eight, 8, 1),
        (ColorType::Rgb, BitDepth::Eight, 8, 3),
        (ColorType::Indexed, BitDepth::Two, 2, 1),
        (ColorType::Indexed, BitDepth::Four, 4, 1),
        (ColorType::Indexed, BitDepth::Eight, 8, 1),
    ] {
        let row = (width * channels * bits).div_ceil(8);
        // The palette has four colours.
        let mask = if color == ColorType::Indexed { [0xff, 0x33, 0x03][bits as usize / 4] } else { 0xff };
        let rows: Vec<u8> =
            (0..row * height).map(|at| (at.wrapping_mul(2_654_435_761) >> 19) as u8 & mask).collect();
        let file = png(width, height, color, depth, &rows);
        let picture = read(Format::Png, &file).remove(0);
        assert_eq!(picture.data, Encoded::Png { bytes: file.clone() }, "{color:?} {bits}");
        let mut pdf = Vec::new();
        let page = SearchablePage { picture: picture.clone(), words: Vec::new() };
        write(&mut std::iter::once(page), &facts(), &mut pdf).unwrap();
        let document = lopdf::Document::load_mem(&pdf).unwrap();
        let packed = chunks(&file, b"IDAT");
        let stored = document.objects.values().filter_map(|object| object.as_stream().ok());
        assert_eq!(stored.filter(|stream| stream.content == packed).count(), 1, "{color:?} {bits}");
        let back = page_picture(&document, 1).unwrap();
        assert!(back.gray(&limits).unwrap() == picture.gray(&limits).unwrap(), "{color:?} {bits}");
        // What the pixels show, worked out from the specification.
        let sample = |x: u32, y: u32, channel: u32| {
            let at = (x * channels + channel) * bits;
            let byte = rows[(y * row + at / 8) as usize];
            u32::from(byte) >> (8 - bits - at % 8) & ((1 << bits) - 1)
        };
        let palette = chunks(&file, b"PLTE");
        let luma = |[red, green, blue]: [u32; 3]| (red * 77 + green * 150 + blue * 29) >> 8;
        let shade = |x, y| match color {
            ColorType::Indexed => {
                let at = sample(x, y, 0) as usize * 3;
                luma([0, 1, 2].map(|part| u32::from(palette[at + part])))
            }
            ColorType::Rgb => luma([0, 1, 2].map(|channel| sample(x, y, channel))),
            _ => sample(x, y, 0) * 255 / ((1 << bits) - 1),
        };
        let wanted: Vec<u8> = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .map(|(x, y)| shade(x, y) as u8)
            .collect();
        assert!(picture.gray(&limits).unwrap().pixels == wanted, "{color:?} {bits}");
        // A changed byte in the samples is noticed, not passed on.
        let mut damaged = file.clone();
        let at = file.windows(4).position(|name| name == b"IDAT").unwrap() + 8;
        damaged[at] ^= 0x10;
        assert!(pictures(Format::Png, &damaged, &limits).is_err(), "{color:?} {bits}");
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
    let readable: Vec<bool> = pages.iter().map(Result::is_ok).collect();
    assert_eq!(readable, [true, false, false, false, false, false, true]);
    let few = PictureLimits { max_pages: 1, ..limits };
    assert_eq!(pictures(Format::Tiff, &file, &few).unwrap().flatten().count(), 1);
    let small = PictureLimits { max_pixels: 100, ..limits };
    assert_eq!(pictures(Format::Tiff, &file, &small).unwrap().flatten().count(), 0);
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
