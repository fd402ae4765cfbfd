//! Tesseract, the program: looking for it, and having it read pages.

use super::job::Ocr;
use super::page::{Gray, Word};
use std::collections::BTreeSet;
use std::io::{self, Read as _, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Largest answer that is read.
const MAX_ANSWER_BYTES: u64 = 64 * 1024 * 1024;
/// Processor seconds for starting, and for each page.
const CPU_SECONDS: (u64, u64) = (20, 90);

/// Why there is no character recognition here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoOcr {
    /// No such program.
    #[error(
        "Tesseract ist nicht installiert; auf Debian hilft „apt install tesseract-ocr tesseract-ocr-deu“."
    )]
    NotFound,
    /// It does not answer.
    #[error("Tesseract antwortet nicht richtig.")]
    Unusable,
    /// It has no language data.
    #[error(
        "Für Tesseract sind keine Sprachdaten installiert; auf Debian hilft „apt install tesseract-ocr-deu“."
    )]
    NoLanguage,
}

/// Looks for Tesseract, at this place or on the path, and asks which of these languages (`deu+eng`) it knows. Takes
/// whatever language there is when it knows none of them.
///
/// # Errors
/// [`NoOcr`] tells what to install.
pub fn find(program: Option<&Path>, languages: &str) -> Result<Ocr, NoOcr> {
    let program = match program {
        Some(program) => program.to_owned(),
        None => on_path("tesseract").ok_or(NoOcr::NotFound)?,
    };
    let ask = |what: &str| {
        let output = Command::new(&program).arg(what).stdin(Stdio::null()).output();
        let output = output.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => NoOcr::NotFound,
            _ => NoOcr::Unusable,
        })?;
        // Old versions answer on standard error.
        let answer = [output.stdout, output.stderr].concat();
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let version = ask("--version")?;
    let version = version.lines().next().and_then(|line| line.strip_prefix("tesseract "));
    let version = version.ok_or(NoOcr::Unusable)?.trim().trim_start_matches('v').to_owned();
    let installed = ask("--list-langs")?;
    let installed: BTreeSet<&str> = installed.lines().skip(1).map(str::trim).collect();
    let mut chosen: Vec<&str> = languages.split('+').filter(|wanted| installed.contains(wanted)).collect();
    if chosen.is_empty() {
        let usable = |name: &&&str| !name.is_empty() && !matches!(**name, "osd" | "equ");
        chosen.extend(installed.iter().find(usable));
    }
    if chosen.is_empty() {
        return Err(NoOcr::NoLanguage);
    }
    let can_orient = installed.contains("osd");
    Ok(Ocr { program, version, languages: chosen.join("+"), can_orient })
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}

/// Why pages were not read.
#[derive(Debug)]
pub(super) enum Failure {
    /// It used up its processor time.
    TimeLimit,
    /// It ended otherwise than it should.
    Ended,
    /// It could not be started or fed.
    Unstarted,
    /// It is not there any more.
    Missing,
}

impl From<io::Error> for Failure {
    fn from(_: io::Error) -> Self {
        Self::Unstarted
    }
}

/// A page as Tesseract read it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Read {
    /// Lines, with an empty line between paragraphs.
    pub(super) text: String,
    /// Words, in pixels of the page.
    pub(super) words: Vec<Word>,
}

impl Read {
    /// Mean confidence of the words, weighted by their length.
    pub(super) fn confidence(&self) -> Option<u8> {
        let (mut sum, mut letters) = (0, 0);
        for word in &self.words {
            let length = word.text.chars().count();
            sum += usize::from(word.confidence) * length;
            letters += length;
        }
        let mean = sum.checked_div(letters)?;
        u8::try_from(mean).ok()
    }

    /// Letters read with some confidence, the more the surer: what turns of a page are compared by.
    pub(super) fn score(&self) -> usize {
        let sure = |word: &&Word| word.confidence >= 40;
        self.words
            .iter()
            .filter(sure)
            .map(|word| usize::from(word.confidence) * word.text.chars().count())
            .sum()
    }
}

fn command(ocr: &Ocr, folder: &Path) -> Command {
    let mut command = Command::new(&ocr.program);
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // More threads cost three times the processor time and gain nothing.
    command.env("OMP_THREAD_LIMIT", "1");
    command
}

fn run(command: &mut Command, pages: usize) -> Result<String, Failure> {
    let mut child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => Failure::Missing,
        _ => Failure::Unstarted,
    })?;
    let seconds = CPU_SECONDS.0 + CPU_SECONDS.1 * pages as u64;
    let limit = rustix::process::Rlimit { current: Some(seconds), maximum: Some(seconds + 2) };
    let pid = rustix::process::Pid::from_child(&child);
    // It may have ended already; then there is nothing to limit.
    let _ = rustix::process::prlimit(Some(pid), rustix::process::Resource::Cpu, limit);
    let mut answer = Vec::new();
    let mut stdout = child.stdout.take().ok_or(Failure::Ended)?.take(MAX_ANSWER_BYTES);
    let read = stdout.read_to_end(&mut answer);
    // Whatever happens, it is waited for.
    if read.is_err() || answer.len() as u64 == MAX_ANSWER_BYTES {
        let _ = child.kill();
    }
    let status = child.wait()?;
    read?;
    match status.signal() {
        _ if status.success() => Ok(String::from_utf8_lossy(&answer).into_owned()),
        // SIGXCPU, or the SIGKILL that follows it.
        Some(24 | 9) => Err(Failure::TimeLimit),
        _ => Err(Failure::Ended),
    }
}

/// Writes a page for Tesseract: TIFF without packing, which it takes in row by row. A portable grey map, which it takes
/// in byte by byte, costs it a fifth of the time that the whole page takes. A page of two shades is written in two, so
/// that it need not look for a threshold; turning leaves shades at the edges of its letters, which go to the nearer.
pub(super) fn write_page(out: &mut dyn Write, page: &Gray, two_shades: bool) -> io::Result<()> {
    let row_bytes = if two_shades { page.width.div_ceil(8) as usize } else { page.width as usize };
    let size = row_bytes * page.height as usize;
    let too_large = |_| io::Error::other("page too large for a TIFF file");
    let length = u32::try_from(size).map_err(too_large)?;
    let directory = u32::try_from((8 + size).next_multiple_of(2)).map_err(too_large)?;
    out.write_all(b"II*\0")?;
    out.write_all(&directory.to_le_bytes())?;
    if two_shades {
        let mut bits = Vec::with_capacity(row_bytes);
        for row in page.pixels.chunks_exact(page.width.max(1) as usize) {
            bits.clear();
            bits.extend(row.chunks(8).map(|eight| {
                let black = eight.iter().fold(0_u8, |byte, shade| byte << 1 | u8::from(*shade < 128));
                black << (8 - eight.len())
            }));
            out.write_all(&bits)?;
        }
    } else {
        out.write_all(&page.pixels)?;
    }
    out.write_all(&[0][..size % 2])?;
    let (bits, black_is_zero) = if two_shades { (1, 0) } else { (8, 1) };
    // Tag, type (3 is 16 bits, 4 is 32) and the one value: columns, rows, bits of a sample, no packing, what 0 means,
    // where the only strip begins, samples of a pixel, rows and bytes of the strip.
    let fields: [(u16, u16, u32); 9] = [
        (256, 4, page.width),
        (257, 4, page.height),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, black_is_zero),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, page.height),
        (279, 4, length),
    ];
    out.write_all(&9_u16.to_le_bytes())?;
    for (tag, kind, value) in fields {
        out.write_all(&tag.to_le_bytes())?;
        out.write_all(&kind.to_le_bytes())?;
        out.write_all(&1_u32.to_le_bytes())?;
        out.write_all(&value.to_le_bytes())?;
    }
    out.write_all(&[0; 4])
}

/// Has pages read, all by one process. The files lie in the folder.
pub(super) fn read_pages(ocr: &Ocr, folder: &Path, files: &[String], dpi: u32) -> Result<Vec<Read>, Failure> {
    const LIST: &str = "pages.list";
    let mut list = std::fs::File::create(folder.join(LIST))?;
    list.write_all((files.join("\n") + "\n").as_bytes())?;
    drop(list);
    let mut command = command(ocr, folder);
    command.args([LIST, "stdout", "--psm", "3", "-l", &ocr.languages, "--dpi", &dpi.to_string()]);
    command.args(["-c", "tessedit_create_tsv=1"]);
    let answer = run(&mut command, files.len())?;
    Ok(parse(&answer, files.len()))
}

/// How a page must be turned to be upright, in degrees clockwise, and how sure that is.
pub(super) fn orientation(ocr: &Ocr, folder: &Path, file: &str) -> Option<(u16, f32)> {
    let mut command = command(ocr, folder);
    command.args([file, "stdout", "--psm", "0", "-l", "osd"]);
    let answer = run(&mut command, 1).ok()?;
    let field = |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let turn: u16 = field("Rotate:")?.parse().ok()?;
    let sure: f32 = field("Orientation confidence:")?.parse().ok()?;
    matches!(turn, 0 | 90 | 180 | 270).then_some((turn, sure))
}

/// Reads Tesseract's TSV: level, page, block, paragraph, line, word, left, top, width, height, confidence, text.
fn parse(tsv: &str, pages: usize) -> Vec<Read> {
    let mut read = vec![Read::default(); pages];
    let mut place: Option<[u32; 4]> = None;
    let mut lines = 0;
    for row in tsv.lines() {
        let fields: Vec<&str> = row.splitn(12, '\t').collect();
        let [level, page, block, paragraph, line, _, left, top, width, height, confidence, text] = fields[..]
        else {
            continue;
        };
        let number = |field: &str| field.parse::<u32>().ok();
        let length = |field: &str| field.parse::<f32>().ok();
        if level != "5" || text.trim().is_empty() {
            continue;
        }
        let here = [page, block, paragraph, line].map(|field| number(field).unwrap_or(0));
        let (Some(left), Some(top), Some(width), Some(height)) =
            (length(left), length(top), length(width), length(height))
        else {
            continue;
        };
        let Some(target) = (here[0] as usize).checked_sub(1).and_then(|page| read.get_mut(page)) else {
            continue;
        };
        match place {
            Some(before) if before[0] != here[0] => lines = 0,
            Some(before) if before == here => target.text.push(' '),
            Some(before) => {
                target.text.push('\n');
                if before[..3] != here[..3] {
                    target.text.push('\n');
                }
                lines += 1;
            }
            None => {}
        }
        place = Some(here);
        let text = text.trim();
        target.text.push_str(text);
        target.words.push(Word {
            text: text.to_owned(),
            left,
            top,
            right: left + width,
            bottom: top + height,
            confidence: confident(confidence),
            line: lines,
        });
    }
    for page in read.iter_mut().filter(|page| !page.text.is_empty()) {
        page.text.push('\n');
    }
    read
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
fn confident(field: &str) -> u8 {
    field.parse::<f32>().map_or(0, |value| value.round().clamp(0.0, 100.0) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_paragraphs_follow_from_the_numbers() {
        let row = |page, block, par, line, word, text: &str| {
            format!("5\t{page}\t{block}\t{par}\t{line}\t{word}\t10\t20\t30\t40\t96.5\t{text}\n")
        };
        let tsv = [
            "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n"
                .into(),
            "1\t1\t0\t0\t0\t0\t0\t0\t100\t100\t-1\t\n".into(),
            row(1, 1, 1, 1, 1, "Sehr"),
            row(1, 1, 1, 1, 2, "geehrte"),
            row(1, 1, 1, 2, 1, "Frau"),
            row(1, 2, 1, 1, 1, "Neuer"),
            row(1, 2, 1, 1, 2, " "),
            row(3, 1, 1, 1, 1, "drei"),
            row(9, 1, 1, 1, 1, "zu viel"),
            "5\t1\tkaputt\n".into(),
        ]
        .concat();
        let pages = parse(&tsv, 3);
        assert_eq!(pages[0].text, "Sehr geehrte\nFrau\n\nNeuer\n");
        assert_eq!(pages[0].words.iter().map(|word| word.line).collect::<Vec<_>>(), [0, 0, 1, 2]);
        assert_eq!(pages[0].confidence(), Some(97));
        assert_eq!(pages[1], Read::default());
        assert_eq!(pages[1].confidence(), None);
        assert_eq!(pages[2].text, "drei\n");
        assert_eq!(pages[2].words[0].line, 0);
    }

    #[test]
    fn a_page_for_tesseract_is_a_picture_that_we_can_read_ourselves() {
        use crate::extract::Format;
        use crate::extract::pictures::{PictureLimits, pictures};
        let page = Gray {
            width: 11,
            height: 3,
            pixels: (0..33_u8).map(|at| if at % 3 == 0 { at } else { 255 - at }).collect(),
        };
        let limits = PictureLimits::default();
        for two_shades in [false, true] {
            let mut file = Vec::new();
            write_page(&mut file, &page, two_shades).unwrap();
            let shown = pictures(Format::Tiff, &file, &limits).unwrap().next().unwrap().unwrap();
            let nearer = |shade: &u8| if *shade < 128 { 0 } else { 255 };
            let wanted =
                if two_shades { page.pixels.iter().map(nearer).collect() } else { page.pixels.clone() };
            assert_eq!(shown.gray(&limits).unwrap(), Gray { pixels: wanted, ..page.clone() });
        }
    }

    #[test]
    fn a_missing_program_and_one_that_is_not_tesseract_are_told_apart() {
        assert_eq!(find(Some(Path::new("/nirgendwo/tesseract")), "deu"), Err(NoOcr::NotFound));
        assert_eq!(find(Some(Path::new("/bin/true")), "deu"), Err(NoOcr::Unusable));
    }
}
