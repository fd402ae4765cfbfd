//! A page's content: the picture, then its words, unseen, each over its own picture.

use super::super::page::{Turn, Word};
use super::font::{DESCENT, LETTER_WIDTH, Letters};
use super::{Sheet, px};
use std::fmt::Write as _;

/// Letters in one command: a PDF string has at most 32,767 bytes.
const LETTERS_IN_STRING: usize = 4_000;

/// What shows a page: its size in points and its commands.
pub(super) struct Content {
    pub(super) width: f32,
    pub(super) height: f32,
    pub(super) commands: Vec<u8>,
}

/// The commands that show the page.
///
/// A page that was scanned askew is shown straight: its stored picture is placed at an angle, not a pixel of it is
/// changed. Readers rebuild lines from heights on the page, and would shuffle the words of sloping lines.
pub(super) fn content(sheet: &Sheet, words: &[Word], letters: &mut Letters) -> Content {
    let mut placed: Vec<Placed> = words.iter().filter_map(|word| Placed::of(sheet, word, letters)).collect();
    let slope = page_slope(&placed);
    let length = slope.hypot(1.0);
    let (cos, sin) = (1.0 / length, slope / length);
    let (width, height) =
        (sheet.width * cos + sheet.height * sin.abs(), sheet.height * cos + sheet.width * sin.abs());
    let straight = |x: f32, y: f32| {
        let (right, up) = (x - sheet.width / 2.0, y - sheet.height / 2.0);
        (right * cos + up * sin + width / 2.0, up * cos - right * sin + height / 2.0)
    };
    for word in &mut placed {
        let half = (word.right - word.left) / 2.0;
        let (x, y) = straight(center(word), word.middle);
        (word.left, word.right, word.middle) = (x - half, x + half, y);
    }
    // Where the stored picture's lower left, lower right and upper left corners go.
    let corners = match sheet.turn {
        Turn::None => [(0.0, 0.0), (sheet.width, 0.0), (0.0, sheet.height)],
        Turn::Right => [(0.0, sheet.height), (0.0, 0.0), (sheet.width, sheet.height)],
        Turn::Half => [(sheet.width, sheet.height), (0.0, sheet.height), (sheet.width, 0.0)],
        Turn::Left => [(sheet.width, 0.0), (sheet.width, sheet.height), (0.0, 0.0)],
    };
    let [(x, y), (right_x, right_y), (up_x, up_y)] = corners.map(|(x, y)| straight(x, y));
    let mut out = String::from("q ");
    for part in [right_x - x, right_y - y, up_x - x, up_y - y, x, y] {
        let _ = write!(out, "{} ", Short(part));
    }
    out.push_str("cm /Scan Do Q\n");
    write_lines(&placed, &mut out);
    Content { width, height, commands: out.into_bytes() }
}

/// The commands that write words, unseen, on a page of this size that shows its picture already; none when there is
/// nothing to write. `scale` is points a pixel.
pub(super) fn words_on(
    (width, height): (f32, f32),
    scale: (f32, f32),
    words: &[Word],
    letters: &mut Letters,
) -> Vec<u8> {
    let sheet = Sheet { width, height, scale, turn: Turn::None };
    let placed: Vec<Placed> = words.iter().filter_map(|word| Placed::of(&sheet, word, letters)).collect();
    let mut out = String::new();
    write_lines(&placed, &mut out);
    out.into_bytes()
}

fn write_lines(placed: &[Placed], out: &mut String) {
    if placed.is_empty() {
        return;
    }
    out.push_str("BT 3 Tr\n");
    for line in placed.chunk_by(|left, right| left.line == right.line) {
        Line::of(line).write(out);
    }
    out.push_str("ET\n");
}

/// How much the page's lines rise, if several long ones agree; else 0.
fn page_slope(placed: &[Placed]) -> f32 {
    let lines = placed.chunk_by(|left, right| left.line == right.line);
    let mut slopes: Vec<f32> = lines.map(Line::of).filter_map(|line| line.slope).collect();
    slopes.sort_by(f32::total_cmp);
    let Some(&median) = slopes.get(slopes.len() / 2) else { return 0.0 };
    let agreeing = slopes.iter().filter(|slope| (**slope - median).abs() < 0.01).count();
    // A quarter of a degree lifts the end of a line by 2 points: readers do not mind.
    let askew = median.abs() >= 0.005 && slopes.len() >= 3 && agreeing * 3 >= slopes.len() * 2;
    if askew { median } else { 0.0 }
}

/// A word in points, from the lower left corner of the page.
struct Placed {
    codes: Vec<u16>,
    space: Option<u16>,
    line: u32,
    left: f32,
    right: f32,
    middle: f32,
    height: f32,
}

impl Placed {
    /// `None` for a word that has no letters or no place on the page.
    fn of(sheet: &Sheet, word: &Word, letters: &mut Letters) -> Option<Self> {
        let (left, right) = (word.left * sheet.scale.0, word.right * sheet.scale.0);
        let (top, bottom) =
            (sheet.height - word.top * sheet.scale.1, sheet.height - word.bottom * sheet.scale.1);
        let (middle, height) = (f32::midpoint(top, bottom), top - bottom);
        let sane = [left, right, top, bottom].iter().all(|edge| edge.is_finite())
            && (0.05..=sheet.width * 1.1).contains(&(right - left))
            && (0.05..=sheet.height * 1.1).contains(&height)
            && (0.0..=sheet.width).contains(&f32::midpoint(left, right))
            && (0.0..=sheet.height).contains(&middle);
        if !sane {
            return None;
        }
        let codes: Vec<u16> = word.text.trim().chars().filter_map(|letter| letters.code(letter)).collect();
        if codes.is_empty() {
            return None;
        }
        let space = letters.code(' ');
        Some(Self { codes, space, line: word.line, left, right, middle, height })
    }
}

/// Words of one line, which share a baseline and a size so that readers see them as one line.
struct Line<'p> {
    words: &'p [Placed],
    height: f32,
    slope: Option<f32>,
}

impl<'p> Line<'p> {
    fn of(words: &'p [Placed]) -> Self {
        let mut heights: Vec<f32> = words.iter().map(|word| word.height).collect();
        heights.sort_by(f32::total_cmp);
        let height = heights[heights.len() / 2];
        Self { words, height, slope: slope(words, height) }
    }

    fn write(&self, out: &mut String) {
        let span = self.words.last().map_or(0.0, |last| last.right) - self.words[0].left;
        // A line that rises by less than its height is made level, which every reader takes for one line.
        let slope = self.slope.filter(|slope| (slope * span).abs() > self.height).unwrap_or(0.0);
        // The line passes through the middle of the words; the median keeps it there against one odd box.
        let mut offsets: Vec<f32> =
            self.words.iter().map(|word| word.middle - slope * center(word)).collect();
        offsets.sort_by(f32::total_cmp);
        let offset = offsets[offsets.len() / 2];
        let strays = |word: &Placed| (word.middle - slope * center(word) - offset).abs() > self.height * 0.75;
        if self.words.iter().any(strays) {
            // No line at all (a table read across, a headline in the margin): every word for itself.
            for word in self.words {
                run(std::slice::from_ref(word), word.height, 0.0, word.middle, out);
            }
        } else {
            run(self.words, self.height, slope, slope * center(&self.words[0]) + offset, out);
        }
    }
}

fn center(word: &Placed) -> f32 {
    f32::midpoint(word.left, word.right)
}

/// How much a line rises by its words' middles, if it is long enough to tell.
fn slope(words: &[Placed], height: f32) -> Option<f32> {
    let (first, last) = (words.first()?, words.last()?);
    if words.len() < 3 || last.right - first.left < height * 12.0 {
        return None;
    }
    let count = words.iter().map(|_| 1.0_f32).sum::<f32>();
    let (mean_x, mean_y) = (
        words.iter().map(center).sum::<f32>() / count,
        words.iter().map(|word| word.middle).sum::<f32>() / count,
    );
    let (mut above, mut below) = (0.0, 0.0);
    for word in words {
        let x = center(word) - mean_x;
        above += x * (word.middle - mean_y);
        below += x * x;
    }
    let slope = above / below;
    // Beyond 20 degrees these are no words of one line.
    (slope.is_finite() && slope.abs() < 0.36).then_some(if slope.abs() < 0.001 { 0.0 } else { slope })
}

/// Words one after another on a baseline through `middle` at the first word. On a skewed page the words step up or down
/// but stay level themselves: readers take a sloping word apart.
fn run(words: &[Placed], height: f32, slope: f32, middle: f32, out: &mut String) {
    let Some(first) = words.first() else { return };
    // The baseline lies half a height below the middle, less what hangs below it.
    let baseline = |word: &Placed| middle + slope * (center(word) - center(first)) - height * (0.5 - DESCENT);
    let (mut x, mut y) = (first.left, baseline(first));
    let _ = writeln!(out, "/Text {} Tf 1 0 0 1 {} {} Tm", Short(height), Short(x), Short(y));
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            let (next_x, next_y) = (word.left, baseline(word));
            let _ = write!(out, "{} {} Td ", Short(next_x - x), Short(next_y - y));
            (x, y) = (next_x, next_y);
        }
        let count = u32::try_from(word.codes.len()).unwrap_or(u32::MAX);
        let natural = height * LETTER_WIDTH / 1_000.0 * px(count);
        let _ = write!(out, "{} Tz", Short((word.right - word.left) / natural * 100.0));
        // The space belongs to the text, so that copying gives words; on the page it has no place of its own.
        let space = word.space.filter(|_| index + 1 < words.len());
        let codes: Vec<u16> = word.codes.iter().copied().chain(space).collect();
        for part in codes.chunks(LETTERS_IN_STRING) {
            out.push_str(" <");
            for code in part {
                let _ = write!(out, "{code:04X}");
            }
            out.push_str("> Tj");
        }
        out.push('\n');
    }
}

/// A number with two digits after the point.
struct Short(f32);
impl std::fmt::Display for Short {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(trimmed(&format!("{:.2}", self.0)))
    }
}

fn trimmed(text: &str) -> &str {
    match text.trim_end_matches('0').trim_end_matches('.') {
        "-0" | "" => "0",
        text => text,
    }
}
