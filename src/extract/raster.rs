//! Work on grey pages before recognition: skew and blank pages.
//!
//! All measuring happens on a copy reduced to 600 to 1,200 pixels on the long side, which is 2 to 4 pixels a millimetre
//! on an A4 sheet: letters are still there, the grain of the paper is not.

use super::page::{Gray, Word};

/// Long side of the reduced copy, at most.
const REDUCED_SIDE: u32 = 1_200;
/// Long side of the sheets that offices use, in millimetres.
const SHEET_MM: f32 = 297.0;
/// Side of the fields in which the paper's brightness is taken, in reduced pixels.
const FIELD: usize = 24;
/// One, for places between pixels.
const ONE: i64 = 1 << 16;
/// The most skew that is looked for.
const MAX_SKEW: f32 = 15.0;

/// A reduced page: which pixels carry ink.
struct Ink {
    width: usize,
    height: usize,
    dark: Vec<bool>,
}

/// A page turned straight, which knows the way back.
#[derive(Clone, Debug)]
pub struct Deskewed {
    gray: Gray,
    /// Sine and cosine of the page's skew.
    turn: (f32, f32),
    /// Middle of the page as scanned.
    from: (f32, f32),
    /// Middle of the straight page.
    to: (f32, f32),
}

impl Gray {
    /// How far the lines fall to the right, in degrees from -15 to 15; 0 when the page does not tell.
    pub fn skew_degrees(&self) -> f32 {
        let Some(ink) = self.ink(0.2) else { return 0.0 };
        // Only the lower edges of ink count: they line up on the baseline, whatever stands above it.
        let margin = ink.width.min(ink.height) / 32;
        let mut edges: Vec<(f32, f32)> = Vec::new();
        let rows = ink.dark.chunks_exact(ink.width).zip(ink.dark.chunks_exact(ink.width).skip(1));
        for (y, (row, below)) in rows.enumerate().take(ink.height - margin).skip(margin) {
            for (x, (dark, below)) in row.iter().zip(below).enumerate().take(ink.width - margin).skip(margin)
            {
                if *dark && !below {
                    edges.push((float(x), float(y)));
                }
            }
        }
        if edges.len() < 200 {
            return 0.0;
        }
        // Every fourth edge finds the region; all of them, up to a number that costs a few milliseconds, the angle.
        let sparse: Vec<_> = edges.iter().step_by((edges.len() / 12_000).max(1)).copied().collect();
        let dense: Vec<_> = edges.iter().step_by((edges.len() / 40_000).max(1)).copied().collect();
        let steps = |from: f32, to: f32, count: u16| {
            (0..=count).map(move |step| from + (to - from) * f32::from(step) / f32::from(count))
        };
        let size = ink.width + ink.height;
        let coarse: Vec<(f32, f32)> =
            steps(-MAX_SKEW, MAX_SKEW, 60).map(|angle| (sharpness(&sparse, angle, size), angle)).collect();
        let Some(&(peak, near)) = coarse.iter().max_by(|left, right| left.0.total_cmp(&right.0)) else {
            return 0.0;
        };
        let mut levels: Vec<f32> = coarse.iter().map(|(level, _)| *level).collect();
        levels.sort_by(f32::total_cmp);
        // Without lines (a photo, a page on its side) no angle stands out.
        if peak < levels[levels.len() / 2] * 1.25 || near.abs() >= MAX_SKEW {
            return 0.0;
        }
        let fine = |from: f32, to: f32, count: u16| {
            let levels = steps(from, to, count).map(|angle| (sharpness(&dense, angle, size), angle));
            levels.max_by(|left, right| left.0.total_cmp(&right.0)).map_or(0.0, |(_, angle)| angle)
        };
        let near = fine(near - 0.5, near + 0.5, 10);
        let found = fine(near - 0.1, near + 0.1, 8);
        if found.abs() < 0.05 { 0.0 } else { found }
    }

    /// The page turned so that lines which fall by `degrees` to the right become level, on white paper.
    pub fn deskewed(&self, degrees: f32) -> Deskewed {
        let degrees = if degrees.is_finite() { degrees.clamp(-45.0, 45.0) } else { 0.0 };
        let (sin, cos) = degrees.to_radians().sin_cos();
        let (width, height) = (side(self.width), side(self.height));
        let from = (width / 2.0, height / 2.0);
        if degrees.abs() < 0.01 || self.pixels.is_empty() {
            return Deskewed { gray: self.clone(), turn: (0.0, 1.0), from, to: from };
        }
        let new_width = whole(width * cos + height * sin.abs());
        let new_height = whole(height * cos + width * sin.abs());
        let to = (side(new_width) / 2.0, side(new_height) / 2.0);
        let mut pixels = Vec::with_capacity(new_width as usize * new_height as usize);
        let (step_x, step_y) = (fixed(cos), fixed(sin));
        for y in 0..new_height {
            let (right, down) = (0.5 - to.0, side(y) + 0.5 - to.1);
            let start = (
                fixed(from.0 + right * cos - down * sin - 0.5),
                fixed(from.1 + right * sin + down * cos - 0.5),
            );
            let place = |at: u32| (start.0 + i64::from(at) * step_x, start.1 + i64::from(at) * step_y);
            let (first, last) = self.inner(new_width, place);
            let edge = |at| {
                let (x, y) = place(at);
                self.between(x, y)
            };
            pixels.extend((0..first).map(edge));
            pixels.extend((first..last).map(|at| {
                let (x, y) = place(at);
                self.mixed(x, y)
            }));
            pixels.extend((last..new_width).map(edge));
        }
        let gray = Self { width: new_width, height: new_height, pixels };
        Deskewed { gray, turn: (sin, cos), from, to }
    }

    /// Whether nothing is written on the page. Specks, punch holes, shadows at the edges and the other side showing
    /// through are nothing; three words, a signature or a stamp are something. In doubt the page is not blank.
    pub fn is_blank(&self) -> bool {
        let Some(ink) = self.ink(0.3) else { return true };
        // Sheets of other sizes shift the limits a little; none of them is sharp.
        let pixels_per_mm = float(ink.width.max(ink.height)) / SHEET_MM;
        let (mut letters, mut marks) = (0, 0);
        for spot in ink.spots() {
            let (wide, high) = (spot.right - spot.left + 1, spot.bottom - spot.top + 1);
            let (wide_mm, high_mm) = (float(wide) / pixels_per_mm, float(high) / pixels_per_mm);
            let edge = ink.width.min(ink.height) / 50;
            let at_edge = spot.left <= edge
                || spot.top <= edge
                || spot.right + edge + 1 >= ink.width
                || spot.bottom + edge + 1 >= ink.height;
            let filled = float(spot.pixels) / float(wide * high);
            let round = filled > 0.65 && (0.7..1.43).contains(&(wide_mm / high_mm));
            let near_side = spot.left < ink.width / 8
                || spot.right > ink.width - ink.width / 8
                || spot.top < ink.height / 8
                || spot.bottom > ink.height - ink.height / 8;
            let hole = round && near_side && (3.0..10.0).contains(&wide_mm);
            // A shadow or the edge of the glass: long, thin, along the side.
            let shadow = at_edge || (near_side && filled > 0.3 && (high_mm > 60.0 || wide_mm > 60.0));
            if hole || shadow {
                continue;
            }
            if wide_mm.max(high_mm) >= 8.0 {
                marks += 1;
            } else if high_mm >= 1.2 && spot.pixels >= 5 || wide_mm >= 2.0 && high_mm >= 0.75 {
                letters += 1;
            }
        }
        marks == 0 && letters < 5
    }

    /// The shade at a place between pixels, in 65,536ths; beyond the page it is white.
    fn between(&self, x: i64, y: i64) -> u8 {
        let (left, top) = (x >> 16, y >> 16);
        let (width, height) = (i64::from(self.width), i64::from(self.height));
        if left < -1 || top < -1 || left >= width || top >= height {
            return 255;
        }
        let at = |x: i64, y: i64| {
            let inside = x >= 0 && y >= 0 && x < width && y < height;
            let index = usize::try_from(y * width + x).ok().filter(|_| inside);
            index.and_then(|index| self.pixels.get(index)).copied().unwrap_or(255)
        };
        mix([at(left, top), at(left + 1, top)], [at(left, top + 1), at(left + 1, top + 1)], x, y)
    }

    /// The same for a place with all four neighbours on the page, which most have: several times as fast.
    #[expect(clippy::cast_sign_loss, reason = "places on the page")]
    fn mixed(&self, x: i64, y: i64) -> u8 {
        let width = self.width as usize;
        let at = (y >> 16) as usize * width + (x >> 16) as usize;
        let (upper, lower) = (&self.pixels[at..at + 2], &self.pixels[at + width..at + width + 2]);
        mix([upper[0], upper[1]], [lower[0], lower[1]], x, y)
    }

    /// Which places of a row have all four neighbours on the page: the first, and the one after the last.
    fn inner(&self, count: u32, place: impl Fn(u32) -> (i64, i64)) -> (u32, u32) {
        let (right, low) = ((i64::from(self.width) - 1) * ONE, (i64::from(self.height) - 1) * ONE);
        let inside = |at: &u32| {
            let (x, y) = place(*at);
            x >= 0 && y >= 0 && x < right && y < low
        };
        let Some(first) = (0..count).find(inside) else { return (count, count) };
        let last = (first..count).rev().find(inside).unwrap_or(first);
        (first, last + 1)
    }

    /// Pixels of the reduced page that are darker than their surroundings by a share of the paper's brightness.
    fn ink(&self, contrast: f32) -> Option<Ink> {
        let factor = self.width.max(self.height).div_ceil(REDUCED_SIDE).max(1) as usize;
        let (width, height) = (self.width as usize / factor, self.height as usize / factor);
        if width < 8 || height < 8 || self.pixels.len() < self.width as usize * self.height as usize {
            return None;
        }
        let small = self.reduced(factor, width, height);
        // The paper's brightness in each field: its brightest pixel.
        let across = width.div_ceil(FIELD);
        let mut dark = Vec::with_capacity(width * height);
        let mut limits = vec![0_u8; across];
        for band in small.chunks(width * FIELD) {
            limits.fill(64);
            for row in band.chunks_exact(width) {
                for (limit, pixels) in limits.iter_mut().zip(row.chunks(FIELD)) {
                    *limit = pixels.iter().fold(*limit, |brightest, &pixel| brightest.max(pixel));
                }
            }
            for limit in &mut limits {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a share of a byte"
                )]
                let darker = (f32::from(*limit) * (1.0 - contrast)) as u8;
                *limit = darker;
            }
            for row in band.chunks_exact(width) {
                for (limit, pixels) in limits.iter().zip(row.chunks(FIELD)) {
                    dark.extend(pixels.iter().map(|pixel| pixel < limit));
                }
            }
        }
        Some(Ink { width, height, dark })
    }

    /// Means of squares of `factor` pixels.
    fn reduced(&self, factor: usize, width: usize, height: usize) -> Vec<u8> {
        // The usual factors get code of their own, which the compiler makes several times as fast.
        match factor {
            1 => self.reduced_by::<1>(width, height),
            2 => self.reduced_by::<2>(width, height),
            3 => self.reduced_by::<3>(width, height),
            4 => self.reduced_by::<4>(width, height),
            6 => self.reduced_by::<6>(width, height),
            _ => {
                let area = (factor * factor) as u64;
                let mut small = Vec::with_capacity(width * height);
                for rows in self.pixels.chunks_exact(self.width as usize * factor).take(height) {
                    let mut sums = vec![0_u64; width];
                    for row in rows.chunks_exact(self.width as usize) {
                        for (sum, pixels) in sums.iter_mut().zip(row.chunks_exact(factor)) {
                            *sum += pixels.iter().map(|&pixel| u64::from(pixel)).sum::<u64>();
                        }
                    }
                    small.extend(sums.iter().map(|sum| u8::try_from(sum / area).unwrap_or(u8::MAX)));
                }
                small
            }
        }
    }

    fn reduced_by<const FACTOR: usize>(&self, width: usize, height: usize) -> Vec<u8> {
        let mut small = Vec::with_capacity(width * height);
        let mut sums = vec![0_u16; width];
        let area = u16::try_from(FACTOR * FACTOR).unwrap_or(1);
        for rows in self.pixels.chunks_exact(self.width as usize * FACTOR).take(height) {
            sums.fill(0);
            for row in rows.chunks_exact(self.width as usize) {
                for (sum, pixels) in sums.iter_mut().zip(row.as_chunks::<FACTOR>().0) {
                    *sum += pixels.iter().map(|&pixel| u16::from(pixel)).sum::<u16>();
                }
            }
            small.extend(sums.iter().map(|sum| u8::try_from(sum / area).unwrap_or(u8::MAX)));
        }
        small
    }
}

/// The mean of four neighbours, weighted by how near each is to the place.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a byte, a mean of bytes"
)]
fn mix(upper: [u8; 2], lower: [u8; 2], x: i64, y: i64) -> u8 {
    // Eight bits of the place between two pixels are more than a shade can show.
    let (right_share, low_share) = ((x as u32 >> 8) & 0xff, (y as u32 >> 8) & 0xff);
    let across =
        |[left, right]: [u8; 2]| u32::from(left) * (256 - right_share) + u32::from(right) * right_share;
    ((across(upper) * (256 - low_share) + across(lower) * low_share + (1 << 15)) >> 16) as u8
}

/// How sharply edges gather in lines that fall by `degrees`: the sum of the squares of a histogram.
fn sharpness(edges: &[(f32, f32)], degrees: f32, size: usize) -> f32 {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let mut lines = vec![0_u32; size * 2];
    for (x, y) in edges {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "negative places become 0"
        )]
        let line = (y * cos - x * sin + float(size) / 2.0) as usize;
        if let Some(count) = lines.get_mut(line) {
            *count += 1;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of edges are compared, not added up to the last")]
    let sum = lines.iter().map(|&count| (u64::from(count) * u64::from(count)) as f32).sum();
    sum
}

/// A connected spot of ink: its box and its pixels.
#[derive(Clone, Copy)]
struct Spot {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
    pixels: usize,
}

impl Ink {
    /// All spots, connected over corners too.
    fn spots(&self) -> Vec<Spot> {
        let mut left_over = self.dark.clone();
        let mut spots = Vec::new();
        let mut stack = Vec::new();
        for start in 0..left_over.len() {
            if !std::mem::take(&mut left_over[start]) {
                continue;
            }
            let (x, y) = (start % self.width, start / self.width);
            let mut spot = Spot { left: x, top: y, right: x, bottom: y, pixels: 0 };
            stack.push(start);
            while let Some(at) = stack.pop() {
                let (x, y) = (at % self.width, at / self.width);
                spot.left = spot.left.min(x);
                spot.right = spot.right.max(x);
                spot.top = spot.top.min(y);
                spot.bottom = spot.bottom.max(y);
                spot.pixels += 1;
                for near_y in y.saturating_sub(1)..=(y + 1).min(self.height - 1) {
                    for near_x in x.saturating_sub(1)..=(x + 1).min(self.width - 1) {
                        let near = near_y * self.width + near_x;
                        if std::mem::take(&mut left_over[near]) {
                            stack.push(near);
                        }
                    }
                }
            }
            spots.push(spot);
        }
        spots
    }
}

impl Deskewed {
    /// The straight page.
    pub fn gray(&self) -> &Gray {
        &self.gray
    }

    /// A word of the straight page where it lies on the page as scanned. The box keeps its size and moves with its
    /// middle: the box around a turned box would be much taller than the word.
    pub fn map_back(&self, word: &Word) -> Word {
        let (sin, cos) = self.turn;
        let (right, down) = (
            f32::midpoint(word.left, word.right) - self.to.0,
            f32::midpoint(word.top, word.bottom) - self.to.1,
        );
        let (x, y) = (self.from.0 + right * cos - down * sin, self.from.1 + right * sin + down * cos);
        let (half_width, half_height) = ((word.right - word.left) / 2.0, (word.bottom - word.top) / 2.0);
        Word {
            left: x - half_width,
            right: x + half_width,
            top: y - half_height,
            bottom: y + half_height,
            ..word.clone()
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a page has far fewer than 2^24 pixels a side")]
fn side(count: u32) -> f32 {
    count as f32
}

#[expect(clippy::cast_precision_loss, reason = "a page has far fewer than 2^24 pixels a side")]
fn float(count: usize) -> f32 {
    count as f32
}

/// A place in 65,536ths.
#[expect(clippy::cast_possible_truncation, reason = "a place on a page")]
fn fixed(place: f32) -> i64 {
    (f64::from(place) * 65_536.0) as i64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive side of a page")]
fn whole(length: f32) -> u32 {
    length.ceil() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paper(shade: u8) -> Gray {
        Gray { width: 1_240, height: 1_754, pixels: vec![shade; 1_240 * 1_754] }
    }

    fn fill(page: &mut Gray, left: u32, top: u32, right: u32, bottom: u32, shade: u8) {
        for y in top..bottom {
            for x in left..right {
                page.pixels[(y * page.width + x) as usize] = shade;
            }
        }
    }

    /// Something like a letter: two strokes and a bar.
    fn letter(page: &mut Gray, x: u32, y: u32) {
        fill(page, x, y, x + 3, y + 16, 30);
        fill(page, x + 9, y, x + 12, y + 16, 30);
        fill(page, x, y + 7, x + 12, y + 10, 30);
    }

    fn word(page: &mut Gray, x: u32, y: u32) {
        for at in 0..6 {
            letter(page, x + at * 16, y);
        }
    }

    fn text() -> Gray {
        let mut page = paper(245);
        for line in 0..38 {
            for at in 0..(6 + line % 4) {
                word(&mut page, 120 + at * 112, 140 + line * 38);
            }
        }
        page
    }

    #[test]
    fn skew_is_found_to_a_tenth_of_a_degree() {
        for skew in [-12.0_f32, -4.3, -1.0, -0.4, 0.0, 0.3, 0.75, 2.0, 7.5, 14.0] {
            // Turning a straight page the other way makes one whose lines fall by `skew`.
            let skewed = text().deskewed(-skew).gray().clone();
            let found = skewed.skew_degrees();
            assert!((found - skew).abs() <= 0.11, "{skew}: {found}");
            let again = skewed.deskewed(found).gray().skew_degrees();
            assert!(again.abs() <= 0.11, "{skew}: {again} left");
        }
    }

    #[test]
    fn a_page_without_lines_has_no_skew() {
        assert_eq!(paper(250).skew_degrees().to_bits(), 0);
        assert_eq!(Gray { width: 0, height: 0, pixels: Vec::new() }.skew_degrees().to_bits(), 0);
        let mut noise = paper(250);
        let mut state = 7_u32;
        for pixel in &mut noise.pixels {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *pixel = (state >> 24) as u8;
        }
        assert_eq!(noise.skew_degrees().to_bits(), 0);
    }

    #[test]
    fn words_find_their_way_back() {
        let mut page = paper(255);
        fill(&mut page, 900, 300, 940, 310, 0);
        let straight = page.deskewed(5.0);
        let dark: Vec<usize> = straight
            .gray()
            .pixels
            .iter()
            .enumerate()
            .filter(|(_, shade)| **shade < 100)
            .map(|(at, _)| at)
            .collect();
        let width = straight.gray().width as usize;
        let (left, right) = (
            dark.iter().map(|at| at % width).min().unwrap(),
            dark.iter().map(|at| at % width).max().unwrap(),
        );
        let (top, bottom) = (dark[0] / width, dark[dark.len() - 1] / width);
        let found = Word {
            text: "Amt".into(),
            left: float(left),
            top: float(top),
            right: float(right + 1),
            bottom: float(bottom + 1),
            confidence: 90,
            line: 0,
        };
        let back = straight.map_back(&found);
        assert!((f32::midpoint(back.left, back.right) - 920.0).abs() < 1.0, "{back:?}");
        assert!((f32::midpoint(back.top, back.bottom) - 305.0).abs() < 1.0, "{back:?}");
    }

    #[test]
    fn dirt_is_blank_and_words_are_not() {
        let mut page = paper(240);
        assert!(page.is_blank());
        // Specks.
        for at in 0..200_u32 {
            let (x, y) = (100 + at * 97 % 1_000, 100 + at * 61 % 1_500);
            fill(&mut page, x, y, x + 2, y + 2, 20);
        }
        // A shadow along the left edge and two punch holes.
        fill(&mut page, 0, 0, 18, 1_754, 60);
        for middle in [640_i32, 1_110] {
            for y in -18..18_i32 {
                for x in -18..18_i32 {
                    if x * x + y * y < 18 * 18 {
                        let at = (middle + y) * 1_240 + 70 + x;
                        page.pixels[usize::try_from(at).unwrap()] = 10;
                    }
                }
            }
        }
        // The other side shows through.
        let behind = text();
        for (pixel, back) in page.pixels.iter_mut().zip(&behind.pixels) {
            if *back < 100 {
                *pixel = pixel.saturating_sub(30);
            }
        }
        assert!(page.is_blank());
        for at in 0..3 {
            word(&mut page, 300 + at * 120, 500);
        }
        assert!(!page.is_blank());
        assert!(!text().is_blank());
    }
}
