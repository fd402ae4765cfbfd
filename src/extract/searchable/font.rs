//! A font without shapes: what invisible text needs to be selected, copied and searched.
//!
//! Every letter gets the next number when it is first used, and all numbers lead to one empty glyph half an em wide.
//! The table back to Unicode is written once, at the end of the file.

use super::objects::{Id, Target};
use lopdf::{Object, StringFormat, dictionary};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;

/// Width of every letter in thousandths of the font's size.
pub(super) const LETTER_WIDTH: f32 = 500.0;
/// How far the font reaches below the baseline, as a share of its size; it reaches up by the rest.
pub(super) const DESCENT: f32 = 0.2;

const NAME: &str = "EAkteUnsichtbar";

/// Numbers of the letters used so far.
#[derive(Default)]
pub(super) struct Letters {
    codes: HashMap<char, u16>,
    used: Vec<char>,
}

impl Letters {
    /// The number of a letter. `None` for what is no letter to PDF/A (control characters, byte order marks,
    /// noncharacters) and once all 65,534 numbers are given.
    pub(super) fn code(&mut self, letter: char) -> Option<u16> {
        let scalar = u32::from(letter);
        if letter.is_control()
            || scalar == 0xfeff
            || scalar & 0xfffe == 0xfffe
            || (0xfdd0..=0xfdef).contains(&scalar)
        {
            return None;
        }
        if let Some(code) = self.codes.get(&letter) {
            return Some(*code);
        }
        // 0 would be the glyph for missing letters, which PDF/A forbids.
        let code = u16::try_from(self.used.len() + 1).ok().filter(|code| *code < u16::MAX)?;
        self.codes.insert(letter, code);
        self.used.push(letter);
        Some(code)
    }
}

/// Writes the font with all letters used.
pub(super) fn write(sink: &mut dyn Target, font: Id, letters: &Letters) -> io::Result<()> {
    let program = program();
    let program = sink.packed_stream(dictionary! { "Length1" => super::whole(program.len()) }, &program)?;
    let descriptor = sink.reserve();
    sink.object(
        descriptor,
        &Object::Dictionary(dictionary! {
            "Type" => "FontDescriptor",
            "FontName" => NAME,
            // Symbolic: the letters are in no standard order.
            "Flags" => 4,
            "FontBBox" => vec![0.into(), (-200).into(), 500.into(), 800.into()],
            "ItalicAngle" => 0,
            "Ascent" => 800,
            "Descent" => -200,
            "CapHeight" => 700,
            "StemV" => 80,
            "FontFile2" => program,
        }),
    )?;
    let map: Vec<u8> = (0..=letters.used.len()).flat_map(|code| [0, u8::from(code > 0)]).collect();
    let map = sink.packed_stream(dictionary! {}, &map)?;
    let descendant = sink.reserve();
    let text = |text: &str| Object::String(text.as_bytes().to_vec(), StringFormat::Literal);
    sink.object(
        descendant,
        &Object::Dictionary(dictionary! {
            "Type" => "Font",
            "Subtype" => "CIDFontType2",
            "BaseFont" => NAME,
            "CIDSystemInfo" => dictionary! {
                "Registry" => text("Adobe"), "Ordering" => text("Identity"), "Supplement" => 0,
            },
            "FontDescriptor" => descriptor,
            "DW" => 500,
            "CIDToGIDMap" => map,
        }),
    )?;
    let to_unicode = sink.packed_stream(dictionary! {}, to_unicode(&letters.used).as_bytes())?;
    sink.object(
        font,
        &Object::Dictionary(dictionary! {
            "Type" => "Font",
            "Subtype" => "Type0",
            "BaseFont" => NAME,
            "Encoding" => "Identity-H",
            "DescendantFonts" => vec![Object::Reference(descendant)],
            "ToUnicode" => to_unicode,
        }),
    )
}

/// The table from numbers to Unicode, letters beyond the basic plane as pairs.
fn to_unicode(letters: &[char]) -> String {
    let mut table = String::from(
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n\
         /CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n\
         /CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n\
         1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n",
    );
    let mut code = 0;
    for block in letters.chunks(100) {
        let _ = writeln!(table, "{} beginbfchar", block.len());
        for letter in block {
            code += 1;
            let _ = write!(table, "<{code:04X}> <");
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _ = write!(table, "{unit:04X}");
            }
            table.push_str(">\n");
        }
        table.push_str("endbfchar\n");
    }
    table.push_str("endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n");
    table
}

/// A TrueType program with two empty glyphs, made by hand.
fn program() -> Vec<u8> {
    let words = |numbers: &[u16]| numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<u8>>();
    let mut head = Vec::new();
    head.extend(0x0001_0000_u32.to_be_bytes()); // version of the table
    head.extend(0x0001_0000_u32.to_be_bytes()); // revision of the font
    head.extend(0_u32.to_be_bytes()); // adjustment of the check sum, filled in below
    head.extend(0x5f0f_3cf5_u32.to_be_bytes());
    head.extend(words(&[0b1011, 1_000])); // flags, units of an em
    head.extend([0; 16]); // made and changed: 1904
    head.extend(words(&[0, 0, 500, 800, 0, 8, 2, 0, 0])); // box, style, least size, direction, formats
    let mut hhea = 0x0001_0000_u32.to_be_bytes().to_vec();
    hhea.extend(words(&[800, 200_u16.wrapping_neg(), 0, 500, 0, 0, 500, 1, 0, 0, 0, 0, 0, 0, 0, 2]));
    let mut maxp = 0x0001_0000_u32.to_be_bytes().to_vec();
    maxp.extend(words(&[2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]));
    let hmtx = words(&[500, 0, 500, 0]);
    let loca = words(&[0, 0, 0]);
    // One subtable that knows no letter: readers that insist on a table find one.
    let cmap = words(&[0, 1, 3, 0, 0, 12, 4, 24, 0, 2, 2, 0, 0, 0xffff, 0, 0xffff, 1, 0]);
    let mut post = 0x0003_0000_u32.to_be_bytes().to_vec();
    post.extend([0; 28]);
    let tables: [(&[u8; 4], Vec<u8>); 8] = [
        (b"cmap", cmap),
        (b"glyf", vec![0]),
        (b"head", head),
        (b"hhea", hhea),
        (b"hmtx", hmtx),
        (b"loca", loca),
        (b"maxp", maxp),
        (b"post", post),
    ];
    let mut file = 0x0001_0000_u32.to_be_bytes().to_vec();
    file.extend(words(&[8, 128, 3, 0]));
    let mut body = Vec::new();
    let body_start = file.len() + tables.len() * 16;
    let mut head_at = 0;
    for (tag, table) in &tables {
        let at = body_start + body.len();
        if *tag == b"head" {
            head_at = at;
        }
        file.extend_from_slice(*tag);
        for number in [check_sum(table), short(at), short(table.len())] {
            file.extend(number.to_be_bytes());
        }
        body.extend_from_slice(table);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    file.extend(body);
    let adjustment = 0xb1b0_afba_u32.wrapping_sub(check_sum(&file));
    file[head_at + 8..head_at + 12].copy_from_slice(&adjustment.to_be_bytes());
    file
}

fn short(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn check_sum(table: &[u8]) -> u32 {
    table.chunks(4).fold(0, |sum, part| {
        let mut four = [0; 4];
        four[..part.len()].copy_from_slice(part);
        sum.wrapping_add(u32::from_be_bytes(four))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_keep_their_numbers() {
        let mut letters = Letters::default();
        assert_eq!(letters.code('ä'), Some(1));
        assert_eq!(letters.code('😀'), Some(2));
        assert_eq!(letters.code('ä'), Some(1));
        for refused in ['\0', '\u{feff}', '\u{fffe}', '\u{1ffff}', '\u{fdd0}', '\n'] {
            assert_eq!(letters.code(refused), None, "{refused:?}");
        }
        let table = to_unicode(&letters.used);
        assert!(table.contains("<0001> <00E4>\n<0002> <D83DDE00>\n"), "{table}");
    }

    #[test]
    fn all_numbers_can_be_given_and_no_more() {
        let mut letters = Letters::default();
        let given = ('\u{20}'..='\u{2ffff}').filter(|letter| letters.code(*letter).is_some()).count();
        assert_eq!(given, 65_534);
    }

    #[test]
    fn the_program_has_a_correct_check_sum() {
        assert_eq!(check_sum(&program()), 0xb1b0_afba);
    }
}
