//! Character recognition of pages: blank pages are left out, askew ones set straight, sideways ones turned.

use super::job::Ocr;
use super::page::{Gray, Picture, Turn, Word};
use super::page_texts::PageText;
use super::raster::Deskewed;
use super::searchable::Place;
use super::tesseract::{self, Failure, Read};
use crate::domain::finding::{Finding, FindingCode};
use std::io::{BufWriter, Write as _};
use std::path::Path;

/// Paper that lies straighter than this is read as it is.
const STRAIGHT_DEGREES: f32 = 0.15;
/// A page read with less confidence than this may lie on its side.
const POOR_CONFIDENCE: u8 = 55;
/// A page read with less than this may stand on its head even if Tesseract sees no sign of it.
const HOPELESS_CONFIDENCE: u8 = 35;
/// Fewer letters than this say nothing about confidence.
const FEW_LETTERS: usize = 12;

/// A page to be recognised.
#[derive(Debug)]
pub(super) struct Scan {
    /// Which page.
    pub(super) number: u32,
    /// The page as it shows.
    pub(super) gray: Gray,
    /// Its resolution.
    pub(super) dpi: f32,
    /// The picture it came from, if the page is nothing else.
    pub(super) picture: Option<Picture>,
    /// What the file itself says as text, if recognition finds less.
    pub(super) fallback: Option<PageText>,
    /// Where the picture lies on the page of a PDF.
    pub(super) place: Option<Place>,
}

/// A recognised page.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Recognised {
    /// Nothing stands on it.
    pub(super) blank: bool,
    /// Text and words; words have their place on the page after the turn.
    pub(super) read: Read,
    /// Degrees clockwise by which it was turned.
    pub(super) turn: u16,
    /// Degrees by which the paper lay askew.
    pub(super) skew_degrees: f32,
    /// Size after the turn.
    pub(super) size: (u32, u32),
}

/// A page set straight, with the way back.
enum Straight<'a> {
    AsItWas(&'a Gray),
    Deskewed(Deskewed),
}

impl<'a> Straight<'a> {
    fn new(gray: &'a Gray) -> (Self, f32) {
        let skew = gray.skew_degrees();
        if skew.is_finite() && skew.abs() >= STRAIGHT_DEGREES {
            (Self::Deskewed(gray.deskewed(skew)), skew)
        } else {
            (Self::AsItWas(gray), 0.0)
        }
    }

    fn gray(&self) -> &Gray {
        match self {
            Self::AsItWas(gray) => gray,
            Self::Deskewed(deskewed) => deskewed.gray(),
        }
    }

    /// Writes the page for Tesseract.
    fn write(&self, folder: &Path, file: &str, two_shades: bool) -> Result<(), Failure> {
        write(folder, file, self.gray(), two_shades)
    }

    fn map_back(&self, word: &Word) -> Word {
        match self {
            Self::AsItWas(_) => word.clone(),
            Self::Deskewed(deskewed) => deskewed.map_back(word),
        }
    }
}

/// Recognises pages with Tesseract, through files in a folder of its own.
#[derive(Debug)]
pub(super) struct Recogniser<'a> {
    pub(super) ocr: &'a Ocr,
    pub(super) folder: &'a Path,
}

impl Recogniser<'_> {
    /// Recognises some pages; each gives a result or a finding. `starting` hears the number of each page.
    pub(super) fn recognise(
        &self,
        scans: &[Scan],
        starting: &dyn Fn(u32),
    ) -> Vec<Result<Recognised, Finding>> {
        let mut results: Vec<Result<Recognised, Finding>> = Vec::with_capacity(scans.len());
        let mut written = Vec::new();
        for (at, scan) in scans.iter().enumerate() {
            starting(scan.number);
            let size = (scan.gray.width, scan.gray.height);
            let blank = Recognised { blank: true, size, ..Recognised::default() };
            results.push(Ok(blank));
            if scan.gray.width < 16 || scan.gray.height < 16 || scan.gray.is_blank() {
                continue;
            }
            let (straight, skew_degrees) = Straight::new(&scan.gray);
            let file = format!("page-{}.tif", scan.number);
            match straight.write(self.folder, &file, scan.gray.has_two_shades()) {
                Ok(()) => written.push((at, file, straight, skew_degrees)),
                Err(failure) => results[at] = Err(finding(scan.number, &failure)),
            }
        }
        // Pages of one resolution go to one process: starting it costs as much as half a page.
        let dpi = |at: usize| resolution(&scans[at]);
        let mut rest = &written[..];
        while let Some(first) = rest.first() {
            let same = rest.iter().take_while(|each| dpi(each.0) == dpi(first.0)).count();
            let (group, later) = rest.split_at(same);
            let files: Vec<String> = group.iter().map(|each| each.1.clone()).collect();
            for ((at, _, straight, skew_degrees), read) in
                group.iter().zip(self.read_each(&files, dpi(first.0)))
            {
                results[*at] =
                    read.map_err(|failure| finding(scans[*at].number, &failure)).map(|read| Recognised {
                        blank: false,
                        read: back(read, straight),
                        turn: 0,
                        skew_degrees: *skew_degrees,
                        size: (scans[*at].gray.width, scans[*at].gray.height),
                    });
            }
            rest = later;
        }
        for (at, file, _, _) in &written {
            if let Ok(found) = &mut results[*at]
                && let Some(better) = self.turned(&scans[*at], file, found)
            {
                *found = better;
            }
            // The folder goes with the job; removing early only saves room.
            let _ = std::fs::remove_file(self.folder.join(file));
        }
        results
    }

    /// All at once; if that fails, one by one, so that one bad page costs no other.
    fn read_each(&self, files: &[String], dpi: u32) -> Vec<Result<Read, Failure>> {
        match tesseract::read_pages(self.ocr, self.folder, files, dpi) {
            Ok(pages) => pages.into_iter().map(Ok).collect(),
            Err(failure) if files.len() == 1 => vec![Err(failure)],
            Err(Failure::Missing) => files.iter().map(|_| Err(Failure::Missing)).collect(),
            Err(_) => files
                .iter()
                .map(|file| {
                    let alone =
                        tesseract::read_pages(self.ocr, self.folder, std::slice::from_ref(file), dpi)?;
                    alone.into_iter().next().ok_or(Failure::Ended)
                })
                .collect(),
        }
    }

    /// A better reading of a page that was read poorly, turned.
    fn turned(&self, scan: &Scan, file: &str, found: &Recognised) -> Option<Recognised> {
        let letters: usize = found.read.words.iter().map(|word| word.text.chars().count()).sum();
        let poor = letters < FEW_LETTERS || found.read.confidence().is_none_or(|mean| mean < POOR_CONFIDENCE);
        if !poor && !is_sideways(&found.read) {
            return None;
        }
        let turn = match self
            .ocr
            .can_orient
            .then(|| tesseract::orientation(self.ocr, self.folder, file))
            .flatten()
        {
            Some((turn, sure)) if sure >= 1.0 => turn,
            // A faded page that was read after a fashion stands as it should, and one with hardly a letter is not
            // worth three more attempts.
            _ if found.read.confidence().is_some_and(|mean| mean >= HOPELESS_CONFIDENCE)
                && letters >= 100 =>
            {
                0
            }
            _ if letters < FEW_LETTERS && found.read.score() == 0 && self.ocr.can_orient => 0,
            _ => self.best_turn(scan, found.read.score())?,
        };
        if turn == 0 {
            return None;
        }
        let upright = scan.gray.turned(Turn::None.and(turn));
        let (straight, skew_degrees) = Straight::new(&upright);
        let file = format!("turned-{}.tif", scan.number);
        straight.write(self.folder, &file, scan.gray.has_two_shades()).ok()?;
        let read = self.read_each(std::slice::from_ref(&file), resolution(scan)).pop()?.ok();
        let _ = std::fs::remove_file(self.folder.join(&file));
        let read = back(read?, &straight);
        // Sideways text is sometimes read as well as upright text; the page then is turned for its reader.
        let better =
            read.score() > found.read.score() || (!poor && read.score() * 10 >= found.read.score() * 9);
        better.then_some(Recognised {
            blank: false,
            read,
            turn,
            skew_degrees,
            size: (upright.width, upright.height),
        })
    }

    /// Tries the other three turns on a smaller picture.
    fn best_turn(&self, scan: &Scan, score: usize) -> Option<u16> {
        let small = scan.gray.halved();
        let mut files = Vec::new();
        for turn in [90, 180, 270] {
            let file = format!("try-{}-{turn}.tif", scan.number);
            write(self.folder, &file, &small.turned(Turn::None.and(turn)), false).ok()?;
            files.push(file);
        }
        let read = self.read_each(&files, (resolution(scan) / 2).max(70));
        for file in &files {
            let _ = std::fs::remove_file(self.folder.join(file));
        }
        let scores = read.into_iter().map(|read| read.map_or(0, |read| read.score()));
        let best = [90, 180, 270].into_iter().zip(scores).max_by_key(|(_, score)| *score)?;
        (best.1 > score + score / 2).then_some(best.0)
    }
}

fn write(folder: &Path, file: &str, page: &Gray, two_shades: bool) -> Result<(), Failure> {
    let mut out = BufWriter::with_capacity(256 * 1024, std::fs::File::create(folder.join(file))?);
    tesseract::write_page(&mut out, page, two_shades)?;
    Ok(out.flush()?)
}

/// Most longer words are higher than wide.
fn is_sideways(read: &Read) -> bool {
    let longer: Vec<&Word> = read.words.iter().filter(|word| word.text.chars().count() >= 4).collect();
    let high = longer.iter().filter(|word| word.bottom - word.top > 1.5 * (word.right - word.left)).count();
    longer.len() >= 3 && high * 2 > longer.len()
}

fn back(read: Read, straight: &Straight<'_>) -> Read {
    Read { words: read.words.iter().map(|word| straight.map_back(word)).collect(), text: read.text }
}

/// The resolution that Tesseract is told: as the picture says, if that can be true for a sheet of paper.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the limits checked")]
fn resolution(scan: &Scan) -> u32 {
    if (120.0..=1_300.0).contains(&scan.dpi) {
        return scan.dpi.round() as u32;
    }
    let longer = scan.gray.width.max(scan.gray.height);
    // As if it were A4.
    (longer * 100 / 1_169).clamp(70, 1_200)
}

fn finding(page: u32, failure: &Failure) -> Finding {
    let (code, detail) = match failure {
        Failure::TimeLimit => (FindingCode::TimeLimit, "Die Texterkennung dieser Seite dauerte zu lange."),
        Failure::Ended => (FindingCode::WorkerCrashed, "Die Texterkennung dieser Seite brach ab."),
        Failure::Missing => (FindingCode::OcrPending, "Die Texterkennung ist nicht mehr da."),
        Failure::Unstarted => {
            (FindingCode::WorkerCrashed, "Die Texterkennung konnte nicht gestartet werden.")
        }
    };
    Finding { code, page: Some(page), detail: Some(detail.to_owned()) }
}

impl Gray {
    /// Whether all pixels are black or white.
    fn has_two_shades(&self) -> bool {
        // Without an early end within a piece, the compiler compares many pixels at once.
        let both = |piece: &[u8]| piece.iter().fold(true, |both, shade| both & matches!(shade, 0 | 255));
        self.pixels.chunks(4_096).all(both)
    }

    /// The page at half its width and height.
    fn halved(&self) -> Self {
        let (width, height) = ((self.width / 2).max(1), (self.height / 2).max(1));
        let at = |x: u32, y: u32| {
            let (x, y) = (x.min(self.width - 1), y.min(self.height - 1));
            u16::from(self.pixels[y as usize * self.width as usize + x as usize])
        };
        let mut pixels = Vec::with_capacity(width as usize * height as usize);
        for y in 0..height {
            for x in 0..width {
                let (x, y) = (2 * x, 2 * y);
                let sum = at(x, y) + at(x + 1, y) + at(x, y + 1) + at(x + 1, y + 1);
                pixels.push(u8::try_from(sum / 4).unwrap_or(u8::MAX));
            }
        }
        Self { width, height, pixels }
    }
}

impl Turn {
    /// This turn and then another one, in degrees clockwise.
    pub(super) fn and(self, degrees: u16) -> Self {
        let own = match self {
            Self::None => 0,
            Self::Right => 90,
            Self::Half => 180,
            Self::Left => 270,
        };
        match (own + degrees) % 360 {
            90 => Self::Right,
            180 => Self::Half,
            270 => Self::Left,
            _ => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_quarter_turns_change_nothing() {
        let gray = Gray { width: 3, height: 2, pixels: vec![1, 2, 3, 4, 5, 6] };
        let turned = |gray: &Gray, degrees| gray.turned(Turn::None.and(degrees));
        assert_eq!(turned(&gray, 90), Gray { width: 2, height: 3, pixels: vec![4, 1, 5, 2, 6, 3] });
        assert_eq!(turned(&turned(&gray, 90), 90), turned(&gray, 180));
        assert_eq!(turned(&turned(&gray, 180), 90), turned(&gray, 270));
        assert_eq!(turned(&turned(&gray, 270), 90), gray);
        assert_eq!(Turn::Right.and(270), Turn::None);
        assert_eq!(Turn::Half.and(90), Turn::Left);
    }

    #[test]
    fn a_halved_page_has_the_means_of_its_pixels() {
        let gray = Gray { width: 4, height: 2, pixels: vec![0, 4, 8, 8, 4, 8, 8, 8] };
        assert_eq!(gray.halved(), Gray { width: 2, height: 1, pixels: vec![4, 8] });
        assert_eq!(Gray { width: 1, height: 1, pixels: vec![7] }.halved().pixels, [7]);
    }

    #[test]
    fn a_resolution_that_cannot_be_true_is_taken_from_the_size_of_paper() {
        let scan = |dpi, height| Scan {
            number: 1,
            gray: Gray { width: 1, height, pixels: Vec::new() },
            dpi,
            picture: None,
            fallback: None,
            place: None,
        };
        assert_eq!(resolution(&scan(300.0, 10)), 300);
        assert_eq!(resolution(&scan(72.0, 3_508)), 300);
        assert_eq!(resolution(&scan(f32::NAN, 10)), 70);
    }
}
