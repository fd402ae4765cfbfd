//! Plain text: which encoding it has, and where a page ends.

/// Lines on a page, as a typewriter or a printer would set them.
const LINES: usize = 60;
/// Longest page, in characters: a file without line breaks is cut here.
const CHARACTERS: usize = 6_000;

/// `0x80..=0x9f` of Windows-1252; the undefined bytes stay control characters.
const CP1252: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ";
/// `0x80..=0xff` of code page 850 (DOS).
const CP850: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}";
/// `0x80..=0xff` of Mac OS Roman.
const MAC: &str = "ÄÅÇÉÑÖÜáàâäãåçéèêëíìîïñóòôöõúùûü†°¢£§•¶ß®©™´¨≠ÆØ∞±≤≥¥µ∂∑∏π∫ªºΩæø¿¡¬√ƒ≈∆«»…\u{a0}ÀÃÕŒœ–—“”‘’÷◊ÿŸ⁄€‹›ﬁﬂ‡·‚„‰ÂÊÁËÈÍÎÏÌÓÔ\u{f8ff}ÒÚÛÙıˆ˜¯˘˙˚¸˝˛ˇ";

/// A single-byte encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Table {
    /// Windows-1252, and with it ISO 8859-1.
    Windows1252,
    /// ISO 8859-15.
    Latin9,
    /// Code page 850.
    Dos,
    /// Mac OS Roman.
    Mac,
}

impl Table {
    fn upper_half(self) -> Vec<char> {
        let latin1 = || (0x80..=0xff_u8).map(char::from);
        match self {
            Self::Windows1252 => CP1252.chars().chain(latin1().skip(32)).collect(),
            Self::Latin9 => latin1()
                .map(|c| match c {
                    '¤' => '€',
                    '¦' => 'Š',
                    '¨' => 'š',
                    '´' => 'Ž',
                    '¸' => 'ž',
                    '¼' => 'Œ',
                    '½' => 'œ',
                    '¾' => 'Ÿ',
                    other => other,
                })
                .collect(),
            Self::Dos => CP850.chars().collect(),
            Self::Mac => MAC.chars().collect(),
        }
    }
}

fn single(bytes: &[u8], upper: &[char]) -> String {
    let decoded = bytes.iter().map(|byte| match byte {
        0..=0x7f => char::from(*byte),
        _ => upper.get(usize::from(byte - 0x80)).copied().unwrap_or('\u{fffd}'),
    });
    decoded.collect()
}

/// How much a text looks German: umlauts inside words count most, control characters and box drawing against it.
fn plausibility(text: &str) -> i64 {
    let mut score = 0;
    let mut before = ' ';
    for c in text.chars() {
        if !c.is_ascii() {
            score += match c {
                'ä' | 'ö' | 'ü' | 'ß' => 3,
                'Ä' | 'Ö' | 'Ü' if !before.is_lowercase() => 3,
                'é' | 'è' | 'à' | 'á' | 'ç' | '§' | '€' | '„' | '“' | '”' | '–' | '‚' | '‘' | '’' | '°'
                | '²' | '³' | '…' | '\u{a0}' => 1,
                '\u{80}'..='\u{9f}' | '\u{2500}'..='\u{25ff}' | '\u{f8ff}' | '\u{fffd}' => -5,
                _ => -1,
            };
        }
        before = c;
    }
    score
}

/// Whether every second byte is zero: UTF-16 without a mark.
pub(super) fn is_wide(bytes: &[u8]) -> bool {
    wide_order(bytes).is_some()
}

/// The byte order of UTF-16 without a mark: little-endian is `true`.
fn wide_order(bytes: &[u8]) -> Option<bool> {
    let head = &bytes[..bytes.len().min(4_096) & !1];
    if head.len() < 8 {
        return None;
    }
    let zeros = |odd: usize| head.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd, pairs) = (zeros(0), zeros(1), head.len() / 2);
    let most = |many: usize, few: usize| many * 10 >= pairs * 7 && few * 20 <= pairs;
    if most(odd, even) {
        Some(true)
    } else if most(even, odd) {
        Some(false)
    } else {
        None
    }
}

fn wide(bytes: &[u8], little: bool) -> String {
    let units = bytes.chunks_exact(2).map(|pair| {
        let pair = [pair[0], pair[1]];
        if little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) }
    });
    char::decode_utf16(units).map(|unit| unit.unwrap_or('\u{fffd}')).collect()
}

fn very_wide(bytes: &[u8], little: bool) -> String {
    let units = bytes.chunks_exact(4).map(|four| {
        let four = [four[0], four[1], four[2], four[3]];
        if little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) }
    });
    units.map(|unit| char::from_u32(unit).unwrap_or('\u{fffd}')).collect()
}

/// Text from bytes of unknown encoding. Never fails; what cannot be read becomes `U+FFFD`.
pub(super) fn decode(bytes: &[u8]) -> String {
    if let Some(rest) = bytes.strip_prefix(b"\xef\xbb\xbf") {
        return repaired(String::from_utf8_lossy(rest).into_owned());
    }
    if let Some(rest) = bytes.strip_prefix(b"\xff\xfe\0\0") {
        return very_wide(rest, true);
    }
    if let Some(rest) = bytes.strip_prefix(b"\0\0\xfe\xff") {
        return very_wide(rest, false);
    }
    if let Some(rest) = bytes.strip_prefix(b"\xff\xfe") {
        return wide(rest, true);
    }
    if let Some(rest) = bytes.strip_prefix(b"\xfe\xff") {
        return wide(rest, false);
    }
    if let Some(little) = wide_order(bytes) {
        return wide(bytes, little);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => repaired(text.to_owned()),
        // Cut within its last character: a head, or a truncated file.
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => {
            repaired(String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned())
        }
        Err(_) => mixed(bytes).unwrap_or_else(|| best_table(bytes)),
    }
}

/// UTF-8 with some bytes of Windows-1252 in between, as logs of several programs have it.
fn mixed(bytes: &[u8]) -> Option<String> {
    let (mut wide, mut strange) = (0_usize, 0_usize);
    let mut text = String::with_capacity(bytes.len());
    let upper = Table::Windows1252.upper_half();
    for chunk in bytes.utf8_chunks() {
        wide += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        strange += chunk.invalid().len();
        text.push_str(chunk.valid());
        text.push_str(&single(chunk.invalid(), &upper));
    }
    // Two bytes that happen to form UTF-8 are rare in a single-byte text.
    (wide * 3 >= strange).then_some(text)
}

fn best_table(bytes: &[u8]) -> String {
    const MOST: usize = 256 * 1024;
    let sample = &bytes[..bytes.len().min(MOST)];
    let mut best = (Table::Windows1252, i64::MIN);
    for table in [Table::Windows1252, Table::Latin9, Table::Dos, Table::Mac] {
        let score = plausibility(&single(sample, &table.upper_half()));
        if score > best.1 {
            best = (table, score);
        }
    }
    single(bytes, &best.0.upper_half())
}

/// Undoes UTF-8 that was taken for Windows-1252 and encoded once more (`Ã¤` for `ä`), if the whole text fits that.
fn repaired(text: String) -> String {
    if !["Ã¤", "Ã¶", "Ã¼", "ÃŸ", "Ã„", "Ã–", "Ãœ"].iter().any(|sign| text.contains(sign)) {
        return text;
    }
    let upper = Table::Windows1252.upper_half();
    let byte = |c: char| match c {
        '\0'..='\u{7f}' => u8::try_from(u32::from(c)).ok(),
        _ => upper.iter().position(|known| *known == c).and_then(|at| u8::try_from(at + 0x80).ok()),
    };
    let bytes: Option<Vec<u8>> = text.chars().map(byte).collect();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or(text)
}

/// Cuts a text into pages: at form feeds, and where a page is full, at the end of a paragraph if one is near.
pub(super) fn pages(text: &str) -> Vec<String> {
    let clean = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut pages = Vec::new();
    for sheet in clean.split('\u{c}') {
        let mut page = String::new();
        let (mut lines, mut characters) = (0, 0);
        for line in sheet.split_inclusive('\n') {
            let near_full = lines >= LINES - 10 && page.ends_with("\n\n");
            if !page.is_empty() && (lines >= LINES || near_full || characters >= CHARACTERS) {
                pages.push(std::mem::take(&mut page));
                (lines, characters) = (0, 0);
            }
            let mut rest = line;
            // One line may be a whole book.
            while let Some((cut, _)) = rest.char_indices().nth(CHARACTERS) {
                let cut = rest[..cut].rfind(char::is_whitespace).filter(|at| *at > 0).unwrap_or(cut);
                page.push_str(&rest[..cut]);
                pages.push(std::mem::take(&mut page));
                rest = &rest[cut..];
            }
            page.push_str(rest);
            lines += 1;
            characters += rest.chars().count();
        }
        pages.push(page);
    }
    // A form feed at the end starts no page.
    while pages.len() > 1 && pages.last().is_some_and(|page| page.trim().is_empty()) {
        pages.pop();
    }
    let shown = |c: &char| matches!(c, '\n' | '\t') || !c.is_control();
    pages.into_iter().map(|page| page.chars().filter(shown).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    const TEXT: &str = "Größe der Straßenbäume: „Übergröße“ für 5 €, gemäß § 3.";

    fn bytes_in(table: Table) -> Vec<u8> {
        let upper = table.upper_half();
        assert_eq!(upper.len(), 128, "{table:?}");
        let byte = |c: char| match upper.iter().position(|known| *known == c) {
            Some(at) => u8::try_from(at + 0x80).unwrap(),
            None => u8::try_from(u32::from(c)).unwrap_or(b'?'),
        };
        TEXT.chars().map(byte).collect()
    }

    #[test]
    fn german_text_is_read_in_every_usual_encoding() {
        assert_eq!(decode(TEXT.as_bytes()), TEXT);
        assert_eq!(decode(format!("\u{feff}{TEXT}").as_bytes()), TEXT);
        for table in [Table::Windows1252, Table::Mac] {
            assert_eq!(decode(&bytes_in(table)), TEXT, "{table:?}");
        }
        // These have no such quotes or no euro sign.
        assert_eq!(decode(&bytes_in(Table::Latin9)), TEXT.replace(['„', '“'], "?"));
        assert_eq!(decode(&bytes_in(Table::Dos)), TEXT.replace(['„', '“', '€'], "?"));
        let little: Vec<u8> = TEXT.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = TEXT.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(decode(&[b"\xff\xfe", &*little].concat()), TEXT);
        assert_eq!(decode(&[b"\xfe\xff", &*big].concat()), TEXT);
        assert_eq!(decode(&little), TEXT);
        assert_eq!(decode(&big), TEXT);
    }

    #[test]
    fn broken_encodings_are_mended_where_that_is_sure() {
        let upper = Table::Windows1252.upper_half();
        let twice = single(TEXT.as_bytes(), &upper);
        assert_eq!(decode(twice.as_bytes()), TEXT);
        let mut mixed = "für Ämter ".as_bytes().to_vec();
        mixed.extend(b"Stra\xdfe");
        assert_eq!(decode(&mixed), "für Ämter Straße");
        assert_eq!(decode("Tschüß".as_bytes()), "Tschüß");
        assert_eq!(decode(&"Tschüß".as_bytes()[..7]), "Tschü");
        assert_eq!(decode(b""), "");
    }

    #[test]
    fn form_feeds_and_full_pages_end_a_page() {
        assert_eq!(pages("a\u{c}b\r\nc\u{c}"), ["a", "b\nc"]);
        assert_eq!(pages(""), [""]);
        let mut long = String::new();
        for number in 0..130 {
            writeln!(long, "Zeile {number}").unwrap();
        }
        let cut = pages(&long);
        assert_eq!(cut.len(), 3);
        assert_eq!(cut.concat(), long);
        let endless = "Wort ".repeat(5_000);
        let cut = pages(&endless);
        assert!(cut.len() > 3 && cut.iter().all(|page| page.chars().count() <= CHARACTERS + 1));
        assert_eq!(cut.concat(), endless);
    }
}
