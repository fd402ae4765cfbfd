//! What bytes are, told by looking at them: magic numbers, then structure. The file's name only chooses among
//! kinds of text, which look alike.

/// Declares the formats with their stored media types.
macro_rules! formats {
    ($($(#[$doc:meta])* $name:ident = $media_type:literal),+ $(,)?) => {
        /// Dateiformat: what a file is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Format { $($(#[$doc])* $name),+ }

        impl Format {
            /// Every format.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The media type, as it is stored.
            pub const fn media_type(self) -> &'static str {
                match self { $(Self::$name => $media_type),+ }
            }
        }
    };
}

formats!(
    /// PDF.
    Pdf = "application/pdf",
    /// TIFF, also with several pages.
    Tiff = "image/tiff",
    /// JPEG.
    Jpeg = "image/jpeg",
    /// PNG.
    Png = "image/png",
    /// GIF.
    Gif = "image/gif",
    /// Windows bitmap.
    Bmp = "image/bmp",
    /// WebP.
    Webp = "image/webp",
    /// HEIC or HEIF.
    Heic = "image/heic",
    /// JPEG 2000.
    Jpeg2000 = "image/jp2",
    /// SVG.
    Svg = "image/svg+xml",
    /// Text without further structure.
    Text = "text/plain",
    /// Comma-separated values.
    Csv = "text/csv",
    /// Markdown.
    Markdown = "text/markdown",
    /// HTML.
    Html = "text/html",
    /// XML.
    Xml = "application/xml",
    /// JSON.
    Json = "application/json",
    /// Rich Text Format.
    Rtf = "application/rtf",
    /// An e-mail message.
    Mail = "message/rfc822",
    /// Several e-mail messages in one file.
    Mailbox = "application/mbox",
    /// Word.
    Docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    /// Excel.
    Xlsx = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    /// `PowerPoint`.
    Pptx = "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    /// `OpenDocument` text.
    Odt = "application/vnd.oasis.opendocument.text",
    /// `OpenDocument` spreadsheet.
    Ods = "application/vnd.oasis.opendocument.spreadsheet",
    /// `OpenDocument` presentation.
    Odp = "application/vnd.oasis.opendocument.presentation",
    /// EPUB.
    Epub = "application/epub+zip",
    /// ZIP.
    Zip = "application/zip",
    /// gzip.
    Gzip = "application/gzip",
    /// 7z.
    SevenZip = "application/x-7z-compressed",
    /// RAR.
    Rar = "application/vnd.rar",
    /// tar.
    Tar = "application/x-tar",
    /// Old Word.
    Doc = "application/msword",
    /// Old Excel.
    Xls = "application/vnd.ms-excel",
    /// Old `PowerPoint`.
    Ppt = "application/vnd.ms-powerpoint",
    /// An Outlook message.
    Msg = "application/vnd.ms-outlook",
    /// Some other OLE compound file.
    Ole = "application/x-ole-storage",
    /// `PostScript`.
    PostScript = "application/postscript",
    /// A CMS signature or envelope.
    Cms = "application/pkcs7-mime",
    /// Nothing known.
    Unknown = "application/octet-stream",
);

impl Format {
    /// The format that is stored as this media type; [`Format::Unknown`] for others.
    pub fn from_media_type(media_type: &str) -> Self {
        Self::ALL.iter().copied().find(|format| format.media_type() == media_type).unwrap_or(Self::Unknown)
    }
}

/// What a file is, from its first bytes (some thousand suffice), its length and its name.
pub fn sniff(head: &[u8], size: u64, name: &str) -> Format {
    binary(head, size).or_else(|| textual(head, name)).unwrap_or(Format::Unknown)
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

fn binary(head: &[u8], size: u64) -> Option<Format> {
    const MAGIC: &[(usize, &[u8], Format)] = &[
        (0, b"%PDF-", Format::Pdf),
        (0, b"II*\0", Format::Tiff),
        (0, b"MM\0*", Format::Tiff),
        (0, b"II+\0", Format::Tiff),
        (0, b"MM\0+", Format::Tiff),
        (0, b"\xff\xd8\xff", Format::Jpeg),
        (0, b"\x89PNG\r\n\x1a\n", Format::Png),
        (0, b"GIF87a", Format::Gif),
        (0, b"GIF89a", Format::Gif),
        (0, b"\0\0\0\x0cjP  \r\n\x87\n", Format::Jpeg2000),
        (0, b"\xff\x4f\xff\x51", Format::Jpeg2000),
        (0, b"{\\rtf", Format::Rtf),
        (0, b"%!PS", Format::PostScript),
        (0, b"\x1f\x8b\x08", Format::Gzip),
        (0, b"7z\xbc\xaf\x27\x1c", Format::SevenZip),
        (0, b"Rar!\x1a\x07", Format::Rar),
        (257, b"ustar", Format::Tar),
    ];
    let starts = |at: usize, magic: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(magic));
    if let Some((_, _, format)) = MAGIC.iter().find(|(at, magic, _)| starts(*at, magic)) {
        return Some(*format);
    }
    if starts(0, b"RIFF") && starts(8, b"WEBP") {
        return Some(Format::Webp);
    }
    if starts(4, b"ftyp") {
        let brand = head.get(8..12).unwrap_or_default();
        let heic: [&[u8]; 6] = [b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"heim"];
        return heic.contains(&brand).then_some(Format::Heic);
    }
    if starts(0, b"BM") && head.get(2..6).is_some_and(|length| bmp_length(length, size)) {
        return Some(Format::Bmp);
    }
    if starts(0, b"PK\x03\x04") || starts(0, b"PK\x05\x06") {
        return Some(zip(head));
    }
    if starts(0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return Some(ole(head));
    }
    // A CMS structure (DER): a sequence that begins with the object identifier 1.2.840.113549.1.7.x.
    if starts(0, b"\x30")
        && contains(&head[..head.len().min(24)], b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07")
    {
        return Some(Format::Cms);
    }
    // Some programs write a few bytes in front; readers look for the mark in the first kilobyte.
    let near = &head[..head.len().min(1_024)];
    contains(near, b"%PDF-").then_some(Format::Pdf)
}

fn bmp_length(field: &[u8], size: u64) -> bool {
    let length = field.try_into().map_or(0, u32::from_le_bytes);
    length == 0 || u64::from(length) == size
}

/// Office files are ZIP archives; the names of their members stand readable between the packed bytes.
fn zip(head: &[u8]) -> Format {
    const MEMBERS: &[(&[u8], Format)] = &[
        (b"mimetypeapplication/vnd.oasis.opendocument.text", Format::Odt),
        (b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet", Format::Ods),
        (b"mimetypeapplication/vnd.oasis.opendocument.presentation", Format::Odp),
        (b"mimetypeapplication/epub+zip", Format::Epub),
    ];
    if let Some((_, format)) = MEMBERS.iter().find(|(member, _)| contains(head, member)) {
        return *format;
    }
    if !contains(head, b"[Content_Types].xml") && !contains(head, b"_rels/.rels") {
        return Format::Zip;
    }
    let parts: [(&[u8], Format); 3] =
        [(b"word/", Format::Docx), (b"xl/", Format::Xlsx), (b"ppt/", Format::Pptx)];
    parts.iter().find(|(part, _)| contains(head, part)).map_or(Format::Zip, |(_, format)| *format)
}

/// The names of an OLE file's streams are UTF-16; whether they stand in the head is luck.
fn ole(head: &[u8]) -> Format {
    const STREAMS: &[(&str, Format)] = &[
        ("WordDocument", Format::Doc),
        ("Workbook", Format::Xls),
        ("PowerPoint Document", Format::Ppt),
        ("__substg1.0_", Format::Msg),
        ("__nameid_version1.0", Format::Msg),
    ];
    let wide = |name: &str| name.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    STREAMS.iter().find(|(name, _)| contains(head, &wide(name))).map_or(Format::Ole, |(_, format)| *format)
}

fn textual(head: &[u8], name: &str) -> Option<Format> {
    if head.is_empty() || !looks_like_text(head) {
        return None;
    }
    let text = super::plain::decode(head);
    let start = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    let lower: String = start.chars().take(1_024).collect::<String>().to_lowercase();
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_lowercase()).unwrap_or_default();
    let html = ["<!doctype html", "<html", "<head", "<body"];
    if html.iter().any(|tag| lower.starts_with(tag)) || (lower.starts_with('<') && lower.contains("<html")) {
        return Some(Format::Html);
    }
    if lower.starts_with("<svg") || (lower.starts_with("<?xml") && lower.contains("<svg")) {
        return Some(Format::Svg);
    }
    if lower.starts_with("<?xml") {
        return Some(Format::Xml);
    }
    if let Some(mail) = mail(start) {
        return Some(mail);
    }
    let tagged = lower.starts_with('<');
    Some(match ending.as_str() {
        "csv" | "tsv" => Format::Csv,
        "md" | "markdown" => Format::Markdown,
        "htm" | "html" | "xhtml" if tagged => Format::Html,
        "xml" | "xsd" | "xsl" | "xslt" if tagged => Format::Xml,
        "json" | "jsonl" if lower.starts_with(['{', '[']) => Format::Json,
        _ => Format::Text,
    })
}

/// Few control characters, or the zeros of UTF-16.
fn looks_like_text(head: &[u8]) -> bool {
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") || super::plain::is_wide(head) {
        return true;
    }
    let odd = |byte: &&u8| matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f | 0x7f);
    head.iter().filter(odd).count() * 50 <= head.len()
}

/// Header lines, at least two of those that only messages have, before the first empty line.
fn mail(start: &str) -> Option<Format> {
    const KNOWN: [&str; 12] = [
        "from",
        "to",
        "received",
        "return-path",
        "message-id",
        "date",
        "mime-version",
        "subject",
        "delivered-to",
        "reply-to",
        "content-type",
        "x-mailer",
    ];
    let mailbox = start.starts_with("From ");
    let mut known = 0;
    for (number, line) in start.lines().enumerate() {
        if line.is_empty() {
            break;
        }
        if line.starts_with([' ', '\t']) || (number == 0 && mailbox) {
            continue;
        }
        let Some((field, _)) = line.split_once(':') else { break };
        if field.is_empty() || !field.bytes().all(|byte| byte.is_ascii_graphic()) {
            break;
        }
        known += usize::from(KNOWN.contains(&field.to_ascii_lowercase().as_str()));
    }
    (known >= 2).then_some(if mailbox { Format::Mailbox } else { Format::Mail })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &[u8], name: &str, expected: Format) {
        assert_eq!(sniff(head, head.len() as u64, name), expected, "{name}");
    }

    #[test]
    fn content_decides_whatever_the_name_says() {
        check(b"%PDF-1.4\n", "Bild.jpg", Format::Pdf);
        check(b"\r\n\r\nHTTP junk %PDF-1.4\n", "a.txt", Format::Pdf);
        check(b"\xff\xd8\xff\xe0\0\x10JFIF", "Brief.pdf", Format::Jpeg);
        check(b"II*\0\x08\0\0\0", "x", Format::Tiff);
        check(b"MM\0+\0\x08\0\0", "x", Format::Tiff);
        check(b"\x89PNG\r\n\x1a\n", "x", Format::Png);
        check(b"\0\0\0\x18ftypheic", "x", Format::Heic);
        check(b"\0\0\0\x18ftypisom", "film.mp4", Format::Unknown);
        check(b"{\\rtf1 Hallo", "brief.doc", Format::Rtf);
        check(&[0, 1, 2, 3, 200, 7], "brief.txt", Format::Unknown);
        check(b"", "leer", Format::Unknown);
        check(b"BMW ist eine Automarke.", "auto.txt", Format::Text);
    }

    #[test]
    fn archives_show_what_they_hold() {
        let member = |name: &str| [b"PK\x03\x04................".as_slice(), name.as_bytes()].concat();
        check(&member("[Content_Types].xml...word/document.xml"), "a.zip", Format::Docx);
        check(&member("[Content_Types].xml...xl/workbook.xml"), "a", Format::Xlsx);
        check(&member("mimetypeapplication/vnd.oasis.opendocument.textPK"), "a", Format::Odt);
        check(&member("word/notes.txt"), "a.docx", Format::Zip);
        let mut ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
        check(&ole, "a.doc", Format::Ole);
        ole.extend("WordDocument".encode_utf16().flat_map(u16::to_le_bytes));
        check(&ole, "a", Format::Doc);
    }

    #[test]
    fn kinds_of_text_are_told_by_structure_and_then_by_name() {
        check("Größe".as_bytes(), "a.csv", Format::Csv);
        check(b"Gr\xf6\xdfe", "a.txt", Format::Text);
        check(b"\xff\xfeG\0r\0", "a.txt", Format::Text);
        check(b"G\0r\0\xf6\0\xdf\0e\0n\0 \0u\0n\0d\0", "a.txt", Format::Text);
        check(b"<!DOCTYPE html><p>Hallo", "a.txt", Format::Html);
        check(b"<?xml version='1.0'?><a/>", "a.txt", Format::Xml);
        check(b"<a/>", "a.xml", Format::Xml);
        check(b"<a/>", "a.txt", Format::Text);
        check(b"# Titel", "a.md", Format::Markdown);
        check(b"From: a@example.org\r\nSubject: Test\r\n\r\nHallo", "a", Format::Mail);
        check(b"From a@example.org Mon\nFrom: a@b\nDate: x\n\nHallo", "a", Format::Mailbox);
        check(b"Betreff: Test\nAn: alle\n\nHallo", "a", Format::Text);
    }

    #[test]
    fn media_types_are_different_and_lead_back_to_their_formats() {
        for format in Format::ALL {
            assert_eq!(Format::from_media_type(format.media_type()), *format);
        }
        assert_eq!(Format::from_media_type("image/x-new"), Format::Unknown);
    }
}
