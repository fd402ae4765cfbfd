//! One spelling for words that people spell in several ways.
//!
//! `Müller`, `MUELLER` and `Mu` + combining diaeresis + `ller` all become `mueller`; `Straße` and `STRASSE` become
//! `strasse`. Other accents are dropped (`Café` is `cafe`), ligatures and full-width letters are taken apart.

use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// Combining diaeresis: what a decomposed `ü` carries behind its `u`.
const DIAERESIS: char = '\u{308}';

/// True for characters that make up words: letters, digits and the marks that combine with them.
pub(super) fn is_word_char(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphanumeric() } else { c.is_alphanumeric() || is_combining_mark(c) }
}

/// Appends the folded form of `c`; a combining mark acts on what is already in `out`.
pub(super) fn push_folded(c: char, out: &mut String) {
    if c.is_ascii() {
        out.push(c.to_ascii_lowercase());
        return;
    }
    match special(c) {
        Some(text) => out.push_str(text),
        None => decompose_compatible(c, |part| push_part(part, out)),
    }
}

/// Letters that have a spelling of their own.
fn special(c: char) -> Option<&'static str> {
    Some(match c {
        'ä' | 'Ä' | 'æ' | 'Æ' => "ae",
        'ö' | 'Ö' | 'œ' | 'Œ' | 'ø' | 'Ø' => "oe",
        'ü' | 'Ü' => "ue",
        'ß' | 'ẞ' => "ss",
        'ł' | 'Ł' => "l",
        'đ' | 'Đ' | 'ð' | 'Ð' => "d",
        'þ' | 'Þ' => "th",
        'ı' => "i",
        _ => return None,
    })
}

fn push_part(part: char, out: &mut String) {
    if part == DIAERESIS {
        // The mark follows its letter: only these three letters make German umlauts.
        if out.ends_with(['a', 'o', 'u']) {
            out.push('e');
        }
    } else if let Some(text) = special(part) {
        // A small raised æ is taken apart into one that stands on the line.
        out.push_str(text);
    } else if part.is_alphanumeric() && !is_combining_mark(part) {
        out.extend(part.to_lowercase().filter(|lower| !is_combining_mark(*lower)));
    }
}

/// The folded form of a whole word.
#[cfg(test)]
pub(super) fn fold(word: &str) -> String {
    let mut out = String::with_capacity(word.len() + 4);
    word.chars().for_each(|c| push_folded(c, &mut out));
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(words: &[&str], expected: &str) {
        for word in words {
            assert_eq!(fold(word), expected, "{word:?}");
        }
    }

    #[test]
    fn umlauts_and_sharp_s_have_one_form_however_they_are_written() {
        check(&["Müller", "MÜLLER", "Mueller", "Mu\u{308}ller", "müller"], "mueller");
        check(&["Straße", "STRASSE", "Strasse", "STRAẞE"], "strasse");
        check(&["Bäcker", "Baecker", "Ba\u{308}cker"], "baecker");
        check(&["Öffnung", "Oeffnung", "O\u{308}ffnung"], "oeffnung");
    }

    #[test]
    fn other_accents_ligatures_and_wide_letters_become_plain() {
        check(&["Café", "Cafe\u{301}", "CAFÉ"], "cafe");
        check(&["Citroën", "Citroe\u{308}n"], "citroen");
        check(&["Oﬀenlegung"], "offenlegung");
        check(&["ＡＢＣ１２"], "abc12");
        check(&["m²"], "m2");
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing(word in "\\PC{0,20}") {
            let once = fold(&word);
            // A base letter can only be followed by a mark within one pass.
            prop_assert_eq!(fold(&once), once);
        }
    }
}
