//! Reading order: pieces of text with their places become words, lines and paragraphs, whatever order they were
//! drawn in.

use super::page::Word;

/// A part of a line as it was drawn: glyphs that follow one another without a gap.
///
/// `u` runs along the writing, `v` across it, downwards: for upright text they are `x` and `y` of the page.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piece {
    pub(super) text: String,
    /// Direction of writing, in degrees clockwise; 0 is upright.
    pub(super) degrees: i16,
    /// Where it begins.
    pub(super) start: f32,
    /// Where it ends.
    pub(super) end: f32,
    /// The baseline.
    pub(super) baseline: f32,
    /// Size of the font.
    pub(super) size: f32,
    /// Whether a blank was drawn before it.
    pub(super) space_before: bool,
    /// Whether a blank was drawn after it.
    pub(super) space_after: bool,
}

/// Text in reading order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Laid {
    /// Lines, with an empty line between paragraphs.
    pub(super) text: String,
    /// Words in the same order.
    pub(super) words: Vec<Word>,
}

/// Above the baseline, and below it, in parts of the font's size.
const ASCENT: f32 = 0.8;
const DESCENT: f32 = 0.2;
/// A gap narrower than this, in parts of the font's size, does not part words.
const WORD_GAP: f32 = 0.12;

#[derive(Clone, Debug)]
struct Row {
    baseline: f32,
    size: f32,
    pieces: Vec<Piece>,
}

impl Row {
    fn width(&self) -> f32 {
        let start = self.pieces.iter().map(|piece| piece.start).fold(f32::INFINITY, f32::min);
        let end = self.pieces.iter().map(|piece| piece.end).fold(f32::NEG_INFINITY, f32::max);
        (end - start).max(0.0)
    }

    fn part(&self, keep: impl Fn(&Piece) -> bool) -> Option<Self> {
        let pieces: Vec<Piece> = self.pieces.iter().filter(|piece| keep(piece)).cloned().collect();
        (!pieces.is_empty()).then_some(Self { baseline: self.baseline, size: self.size, pieces })
    }
}

/// Puts pieces in order. The direction that most of the text has comes first.
pub(super) fn lay_out(pieces: Vec<Piece>) -> Laid {
    let mut groups: Vec<(i16, usize, Vec<Piece>)> = Vec::new();
    for piece in pieces {
        let finite =
            [piece.start, piece.end, piece.baseline, piece.size].iter().all(|place| place.is_finite());
        if piece.text.is_empty() || !finite {
            continue;
        }
        let length = piece.text.chars().count();
        match groups.iter_mut().find(|group| group.0 == piece.degrees) {
            Some(group) => {
                group.1 += length;
                group.2.push(piece);
            }
            None => groups.push((piece.degrees, length, vec![piece])),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.1));
    let mut laid = Laid::default();
    let mut line = 0;
    for (degrees, _, pieces) in groups {
        let mut blocks = Vec::new();
        order(rows(pieces), 0, &mut blocks);
        for block in blocks {
            write_block(&block, degrees, &mut line, &mut laid);
        }
    }
    laid
}

/// Pieces on the same baseline, more or less, top to bottom.
fn rows(mut pieces: Vec<Piece>) -> Vec<Row> {
    pieces.sort_by(|a, b| a.baseline.total_cmp(&b.baseline));
    let mut rows: Vec<Row> = Vec::new();
    for piece in pieces {
        let fits = |row: &Row| {
            let (small, large) = (row.size.min(piece.size), row.size.max(piece.size));
            if large > 2.0 * small {
                return (row.baseline - piece.baseline).abs() < 0.3 * small;
            }
            let top = (row.baseline - ASCENT * row.size).max(piece.baseline - ASCENT * piece.size);
            let bottom = (row.baseline + DESCENT * row.size).min(piece.baseline + DESCENT * piece.size);
            bottom - top > 0.55 * small
        };
        // Sorted by baseline, so only the last rows can be near.
        match rows.iter_mut().rev().take(4).find(|row| fits(row)) {
            Some(row) => {
                if piece.size > row.size {
                    (row.baseline, row.size) = (piece.baseline, piece.size);
                }
                row.pieces.push(piece);
            }
            None => rows.push(Row { baseline: piece.baseline, size: piece.size, pieces: vec![piece] }),
        }
    }
    for row in &mut rows {
        row.pieces.sort_by(|a, b| a.start.total_cmp(&b.start));
        row.pieces = joined(std::mem::take(&mut row.pieces));
    }
    rows.sort_by(|a, b| a.baseline.total_cmp(&b.baseline));
    rows
}

/// Words from the pieces of a row.
fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut words: Vec<Piece> = Vec::new();
    for piece in pieces {
        if let Some(last) = words.last_mut() {
            let size = last.size.max(piece.size);
            let gap = piece.start - last.end;
            let touches = gap < WORD_GAP * size && gap > -0.5 * size;
            if touches && !last.space_after && !piece.space_before {
                last.text.push_str(&piece.text);
                last.end = last.end.max(piece.end);
                last.space_after = piece.space_after;
                last.size = size;
                continue;
            }
        }
        words.push(piece);
    }
    words
}

/// Splits columns of prose, left before right; everything else is read row by row.
fn order(rows: Vec<Row>, depth: usize, blocks: &mut Vec<Vec<Row>>) {
    if rows.is_empty() {
        return;
    }
    let Some((x, from, to)) = (if depth < 6 { gutter(&rows) } else { None }) else {
        blocks.push(rows);
        return;
    };
    let sides = |keep: &dyn Fn(&Piece) -> bool| {
        rows[from..to].iter().filter_map(|row| row.part(keep)).collect::<Vec<_>>()
    };
    let (left, right) = (sides(&|piece| piece.start < x), sides(&|piece| piece.start >= x));
    order(rows[..from].to_vec(), depth + 1, blocks);
    order(left, depth + 1, blocks);
    order(right, depth + 1, blocks);
    order(rows[to..].to_vec(), depth + 1, blocks);
}

fn median(mut values: Vec<f32>) -> f32 {
    values.sort_by(f32::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}

/// A white stripe between two columns, and the rows along it.
fn gutter(rows: &[Row]) -> Option<(f32, usize, usize)> {
    /// Fewer rows are no column.
    const ROWS: usize = 4;
    /// Narrower columns are cells of a table, which are read row by row. In parts of the font's size.
    const WIDTH: f32 = 10.0;
    if rows.len() < ROWS {
        return None;
    }
    let em = median(rows.iter().map(|row| row.size).collect()).max(1.0);
    let starts = rows.iter().flat_map(|row| &row.pieces).map(|piece| piece.start);
    let (low, high) =
        starts.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), at| (low.min(at), high.max(at)));
    let step = (em / 2.0).max((high - low) / 400.0);
    if !step.is_finite() || step <= 0.0 {
        return None;
    }
    let mut best: Option<(usize, f32, usize, usize)> = None;
    let mut x = low + WIDTH / 2.0 * em;
    while x < high {
        let clear =
            |row: &Row| row.pieces.iter().all(|piece| x < piece.start - 0.4 * em || x > piece.end + 0.4 * em);
        let mut from = 0;
        while from < rows.len() {
            if !clear(&rows[from]) {
                from += 1;
                continue;
            }
            let to = (from..rows.len()).find(|at| !clear(&rows[*at])).unwrap_or(rows.len());
            let widths = |keep: &dyn Fn(&Piece) -> bool| {
                rows[from..to]
                    .iter()
                    .filter_map(|row| row.part(keep))
                    .map(|row| row.width())
                    .collect::<Vec<_>>()
            };
            if best.is_none_or(|best| to - from > best.0) && to - from >= ROWS {
                let (left, right) = (widths(&|piece| piece.start < x), widths(&|piece| piece.start >= x));
                let is_column = |widths: Vec<f32>| widths.len() >= ROWS && median(widths) >= WIDTH * em;
                if is_column(left) && is_column(right) {
                    best = Some((to - from, x, from, to));
                }
            }
            from = to + 1;
        }
        x += step;
    }
    best.map(|(_, x, from, to)| (x, from, to))
}

fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}')
}

fn write_block(rows: &[Row], degrees: i16, line: &mut u32, laid: &mut Laid) {
    let steps: Vec<f32> = rows.windows(2).map(|pair| pair[1].baseline - pair[0].baseline).collect();
    let leading = median(steps.clone());
    if !laid.text.is_empty() {
        laid.text.push('\n');
    }
    for (at, row) in rows.iter().enumerate() {
        if let Some(step) = at.checked_sub(1).and_then(|before| steps.get(before))
            && *step > 1.45 * leading
            && *step > 1.5 * row.size
        {
            laid.text.push('\n');
        }
        let all: String = row.pieces.iter().map(|piece| piece.text.as_str()).collect();
        let letters = all.chars().filter(|c| c.is_alphabetic()).count();
        let backwards = all.chars().filter(|c| is_right_to_left(*c)).count() * 2 > letters && letters > 0;
        let mut pieces: Vec<&Piece> = row.pieces.iter().collect();
        if backwards {
            pieces.reverse();
        }
        for (number, piece) in pieces.into_iter().enumerate() {
            if number > 0 {
                laid.text.push(' ');
            }
            let mut word = boxed(piece, degrees, *line);
            if piece.text.chars().all(|c| is_right_to_left(c) || !c.is_alphanumeric())
                && piece.text.chars().any(is_right_to_left)
            {
                word.text = piece.text.chars().rev().collect();
            }
            laid.text.push_str(&word.text);
            laid.words.push(word);
        }
        laid.text.push('\n');
        *line += 1;
    }
}

/// The word with its box on the page.
fn boxed(piece: &Piece, degrees: i16, line: u32) -> Word {
    let (sin, cos) = f32::from(degrees).to_radians().sin_cos();
    let (top, bottom) = (piece.baseline - ASCENT * piece.size, piece.baseline + DESCENT * piece.size);
    let corners = [(piece.start, top), (piece.end, top), (piece.start, bottom), (piece.end, bottom)]
        .map(|(u, v)| (u * cos - v * sin, u * sin + v * cos));
    let least = |values: [f32; 4]| values.into_iter().fold(f32::INFINITY, f32::min);
    let most = |values: [f32; 4]| values.into_iter().fold(f32::NEG_INFINITY, f32::max);
    let (xs, ys) = (corners.map(|corner| corner.0), corners.map(|corner| corner.1));
    Word {
        text: piece.text.clone(),
        left: least(xs),
        top: least(ys),
        right: most(xs),
        bottom: most(ys),
        confidence: 100,
        line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(text: &str, start: f32, baseline: f32) -> Piece {
        #[expect(clippy::cast_precision_loss, reason = "short texts")]
        let end = start + text.chars().count() as f32 * 5.0;
        Piece {
            text: text.to_owned(),
            degrees: 0,
            start,
            end,
            baseline,
            size: 10.0,
            space_before: false,
            space_after: true,
        }
    }

    fn check(pieces: Vec<Piece>, expected: &str) {
        assert_eq!(lay_out(pieces).text, expected);
    }

    #[test]
    fn the_order_of_drawing_does_not_matter() {
        let pieces = vec![
            piece("unten", 50.0, 700.0),
            piece("rechts", 300.0, 100.5),
            piece("links", 50.0, 100.0),
            piece("zweite", 50.0, 112.0),
        ];
        check(pieces, "links rechts\nzweite\n\nunten\n");
    }

    #[test]
    fn letters_that_touch_are_a_word_and_a_raised_digit_stays_on_its_line() {
        let mut letters: Vec<Piece> = (0..3_u8)
            .map(|at| Piece { space_after: false, ..piece("m", 50.0 + 5.0 * f32::from(at), 100.0) })
            .collect();
        letters.push(Piece { size: 6.0, ..piece("2", 65.2, 96.0) });
        letters.push(piece("Fläche", 80.0, 100.0));
        let laid = lay_out(letters);
        assert_eq!(laid.text, "mmm2 Fläche\n");
        assert_eq!(laid.words.len(), 2);
        assert!((laid.words[0].top - 92.0).abs() < 0.01 && laid.words.iter().all(|word| word.line == 0));
    }

    #[test]
    fn columns_of_prose_are_read_one_after_the_other_and_tables_row_by_row() {
        let mut columns =
            vec![piece("Überschrift über beide Spalten hinweg gesetzt, recht lang und breit", 50.0, 80.0)];
        for row in 0..6_u8 {
            let v = 100.0 + 12.0 * f32::from(row);
            columns.push(piece(&format!("rechte Spalte mit Text {row}"), 300.0, v + 3.0));
            columns.push(piece(&format!("linke Spalte voller Text {row}"), 50.0, v));
        }
        let text = lay_out(columns).text;
        let place = |needle: &str| text.find(needle).unwrap_or_else(|| panic!("{needle}: {text}"));
        assert!(place("Überschrift") < place("linke Spalte voller Text 0"));
        assert!(place("linke Spalte voller Text 5") < place("rechte Spalte mit Text 0"));

        let table = (0..6_u8)
            .flat_map(|row| {
                let v = 100.0 + 12.0 * f32::from(row);
                [piece("Miete", 50.0, v), piece(&format!("{row}0,00"), 300.0, v)]
            })
            .collect();
        assert!(lay_out(table).text.starts_with("Miete 00,00\nMiete 10,00\n"));
    }

    #[test]
    fn turned_text_comes_after_the_rest_with_its_box_upright() {
        let mut turned = piece("Rand", 100.0, -20.0);
        turned.degrees = 90;
        let laid = lay_out(vec![turned, piece("Haupttext", 50.0, 50.0)]);
        assert_eq!(laid.text, "Haupttext\n\nRand\n");
        let word = &laid.words[1];
        assert!((word.left - 18.0).abs() < 0.01 && (word.right - 28.0).abs() < 0.01, "{word:?}");
        assert!((word.top - 100.0).abs() < 0.01 && (word.bottom - 120.0).abs() < 0.01, "{word:?}");
    }

    #[test]
    fn places_that_are_no_numbers_are_passed_over() {
        let mut odd = piece("x", f32::NAN, 5.0);
        odd.size = f32::INFINITY;
        check(vec![odd], "");
        check(Vec::new(), "");
    }
}
