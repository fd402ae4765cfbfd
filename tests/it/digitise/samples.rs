//! Small files made for these tests: PDFs with text, pictures of them, and bad ones.

use hayro::hayro_interpret::InterpreterSettings;
use hayro::hayro_interpret::hayro_syntax::Pdf;
use hayro::{PixmapSettings, RenderCache, RenderSettings};
use lopdf::{
    Dictionary, Document, EncryptionState, EncryptionVersion, Object, Permissions, Stream, dictionary,
};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

/// Makes a file; these need not last.
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    File::create(path).unwrap().write_all(bytes.as_ref()).unwrap();
}

/// A letter long enough to be read with confidence.
pub const LETTER: [&str; 5] = [
    "Stadt Steverau, Bauamt",
    "Sehr geehrte Frau Ahrens,",
    "der Antrag vom dritten Mai auf einen Carport wird genehmigt.",
    "Die Zufahrt bleibt frei von parkenden Fahrzeugen.",
    "Hochachtungsvoll",
];

/// A PDF with a page for each group of lines, in Helvetica.
pub fn pdf(pages: &[&[&str]]) -> Vec<u8> {
    saved(document(pages.iter().map(|lines| content(lines)).collect()))
}

fn content(lines: &[&str]) -> Vec<u8> {
    let mut content = String::from("BT /F1 16 Tf 60 760 Td 24 TL\n");
    for line in lines {
        writeln!(content, "({line}) Tj T*").unwrap();
    }
    (content + "ET").into_bytes()
}

fn document(contents: Vec<Vec<u8>>) -> Document {
    let mut document = Document::with_version("1.4");
    let pages = document.new_object_id();
    let font = document.add_object(dictionary! {
        "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica", "Encoding" => "WinAnsiEncoding",
    });
    let resources = document.add_object(dictionary! { "Font" => dictionary! { "F1" => font } });
    let mut kids: Vec<Object> = Vec::new();
    for content in contents {
        let mut stream = Stream::new(Dictionary::new(), content);
        stream.compress().unwrap();
        let content = document.add_object(stream);
        let page = document.add_object(dictionary! {
            "Type" => "Page", "Parent" => pages, "Contents" => content, "Resources" => resources,
            "MediaBox" => vec![0.into(), 0.into(), 595.into(), 842.into()],
        });
        kids.push(page.into());
    }
    let count = i64::try_from(kids.len()).unwrap();
    let tree = dictionary! { "Type" => "Pages", "Kids" => kids, "Count" => count };
    document.objects.insert(pages, Object::Dictionary(tree));
    let catalog = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => pages });
    document.trailer.set("Root", catalog);
    let id = Object::string_literal("0123456789abcdef");
    document.trailer.set("ID", vec![id.clone(), id]);
    document
}

fn saved(mut document: Document) -> Vec<u8> {
    let mut bytes = Vec::new();
    document.save_to(&mut bytes).unwrap();
    bytes
}

/// A page of a PDF.
pub enum Sheet<'a> {
    /// Letters.
    Text(&'a [&'a str]),
    /// A scan that fills the page, in a page turned by so many degrees for its reader.
    Scan(&'a (u32, u32, Vec<u8>), i64),
}

/// A PDF of pages of both kinds. Its pages do not begin at the origin, and it claims to be PDF/A.
pub fn mixed_pdf(sheets: &[Sheet<'_>]) -> Vec<u8> {
    let mut document = document(
        sheets
            .iter()
            .map(|sheet| match sheet {
                Sheet::Text(lines) => content(lines),
                Sheet::Scan(_, turn) if turn % 180 == 90 => b"842 0 0 595 100 50 cm /Im Do".to_vec(),
                // Left as it is, this would move whatever follows.
                Sheet::Scan(..) => b"595 0 0 842 100 50 cm /Im Do".to_vec(),
            })
            .collect(),
    );
    let ids: Vec<_> = document.get_pages().into_values().collect();
    for (id, sheet) in ids.into_iter().zip(sheets) {
        let Sheet::Scan((width, height, gray), turn) = sheet else { continue };
        let mut stream = Stream::new(
            dictionary! {
                "Type" => "XObject", "Subtype" => "Image", "ColorSpace" => "DeviceGray", "BitsPerComponent" => 8,
                "Width" => i64::from(*width), "Height" => i64::from(*height),
            },
            gray.clone(),
        );
        stream.compress().unwrap();
        let image = document.add_object(stream);
        let (right, top) = if turn % 180 == 90 { (942, 645) } else { (695, 892) };
        let page = document.get_dictionary_mut(id).unwrap();
        page.set("Resources", dictionary! { "XObject" => dictionary! { "Im" => image } });
        page.set("MediaBox", vec![100.into(), 50.into(), right.into(), top.into()]);
        page.set("Rotate", *turn);
    }
    let claim = b"<x:xmpmeta><pdfaid:part>2</pdfaid:part></x:xmpmeta>".to_vec();
    let claim =
        document.add_object(Stream::new(dictionary! { "Type" => "Metadata", "Subtype" => "XML" }, claim));
    document.catalog_mut().unwrap().set("Metadata", claim);
    saved(document)
}

/// The picture turned clockwise by a quarter.
pub fn quarter((width, height, gray): &(u32, u32, Vec<u8>)) -> (u32, u32, Vec<u8>) {
    let (wide, high) = (*width as usize, *height as usize);
    let turned = (0..wide).flat_map(|x| (0..high).rev().map(move |y| gray[y * wide + x])).collect();
    (*height, *width, turned)
}

/// A PDF that asks for a password.
pub fn encrypted_pdf() -> Vec<u8> {
    let mut document = document(vec![content(&LETTER)]);
    let version = EncryptionVersion::V2 {
        document: &document,
        owner_password: "amtlich",
        user_password: "geheim",
        key_length: 128,
        permissions: Permissions::all(),
    };
    let state = EncryptionState::try_from(version).unwrap();
    document.encrypt(&state).unwrap();
    saved(document)
}

/// A PDF of few bytes whose second page unpacks to 300 MB.
pub fn bomb_pdf() -> Vec<u8> {
    let blanks = vec![b' '; 300_000_000];
    saved(document(vec![content(&LETTER), blanks, content(&LETTER)]))
}

/// A picture of a page with these lines, at 200 dpi.
pub fn scan(lines: &[&str]) -> (u32, u32, Vec<u8>) {
    let pdf = Pdf::new(pdf(&[lines])).unwrap();
    let scale = 200.0 / 72.0;
    let settings = PixmapSettings {
        x_scale: scale,
        y_scale: scale,
        bg_color: hayro::vello_cpu::color::palette::css::WHITE,
    };
    let pixmap = hayro::render(
        &pdf.pages()[0],
        &RenderCache::new(),
        &InterpreterSettings::default(),
        &RenderSettings::default(),
        &settings,
    );
    let gray = pixmap.data().iter().map(|pixel| pixel.g).collect();
    (u32::from(pixmap.width()), u32::from(pixmap.height()), gray)
}

/// The picture as a PNG file.
pub fn png((width, height, gray): &(u32, u32, Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, *width, *height);
    encoder.set_color(png::ColorType::Grayscale);
    let per_metre = 7_874;
    encoder.set_pixel_dims(Some(png::PixelDimensions {
        xppu: per_metre,
        yppu: per_metre,
        unit: png::Unit::Meter,
    }));
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(gray).unwrap();
    writer.finish().unwrap();
    bytes
}

/// The picture upside down.
pub fn upside_down((width, height, gray): (u32, u32, Vec<u8>)) -> (u32, u32, Vec<u8>) {
    (width, height, gray.into_iter().rev().collect())
}

/// A TIFF of a few bytes that claims to be 4 billion pixels wide and high.
pub fn lying_tiff() -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    let entries: [(u16, u32); 8] = [
        (256, u32::MAX),
        (257, u32::MAX),
        (258, 1),
        (259, 1),
        (262, 1),
        (273, 8),
        (278, u32::MAX),
        (279, 100),
    ];
    bytes.extend(u16::try_from(entries.len()).unwrap().to_le_bytes());
    for (tag, value) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(4_u16.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend(0_u32.to_le_bytes());
    bytes
}
