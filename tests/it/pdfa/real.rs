//! Real files, where they are at hand: no crash, and whatever is taken over makes an accepted file.

use super::samples::{assert_valid, corpora, pdf, read, words};
use eakte::extract::Format;
use eakte::extract::pdf_picture::page_picture;
use eakte::extract::pictures::{PictureLimits, pictures};
use eakte::extract::searchable::SearchablePage;
use std::fs;
use std::path::{Path, PathBuf};

fn picture_files(folder: &Path) -> Vec<(Format, PathBuf)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let format = match path.extension()?.to_str()?.to_lowercase().as_str() {
                "tif" | "tiff" => Format::Tiff,
                "jpg" | "jpeg" => Format::Jpeg,
                "png" => Format::Png,
                _ => return None,
            };
            Some((format, path))
        })
        .collect();
    files.sort_by(|left, right| left.1.cmp(&right.1));
    files
}

#[test]
fn real_pictures_become_accepted_files() {
    let Some(corpora) = corpora("real_pictures_become_accepted_files") else { return };
    let folder = tempfile::tempdir().unwrap();
    let limits = PictureLimits { max_pixels: 9_000_000, ..PictureLimits::default() };
    let (mut made, mut refused) = (Vec::new(), Vec::new());
    for source in ["images", "scans-misc", "scans-synthetic"] {
        for (format, path) in picture_files(&corpora.join(source)) {
            let bytes = fs::read(&path).unwrap();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let pages: Vec<_> = match pictures(format, &bytes, &limits) {
                Ok(pages) => pages.collect(),
                Err(fault) => vec![Err(fault)],
            };
            let mut good = Vec::new();
            for page in pages {
                match page.and_then(|picture| picture.gray(&limits).map(|_| picture)) {
                    Ok(picture) => {
                        good.push(SearchablePage { picture, words: words(&["Amt"], 9.0, 9.0, 12.0) });
                    }
                    Err(fault) => refused.push(format!("{source}/{name}: {fault}")),
                }
            }
            if !good.is_empty() {
                made.push(pdf(good, folder.path(), &format!("{source}-{name}.pdf")));
            }
        }
    }
    println!("{} made; refused:\n{}", made.len(), refused.join("\n"));
    assert!(made.len() > 50, "{}", made.len());
    assert_valid(&made);
}

#[test]
fn pages_of_real_pdfs_are_taken_over_or_left() {
    let Some(corpora) = corpora("pages_of_real_pdfs_are_taken_over_or_left") else { return };
    let folder = tempfile::tempdir().unwrap();
    let limits = PictureLimits::default();
    let mut made = Vec::new();
    let mut files: Vec<_> =
        fs::read_dir(corpora.join("pdf")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for path in files {
        let Ok(document) = lopdf::Document::load(&path) else { continue };
        let mut pages = Vec::new();
        for number in document.get_pages().into_keys().take(5) {
            if let Some(picture) = page_picture(&document, number)
                && u64::from(picture.width) * u64::from(picture.height) < 9_000_000
                && picture.gray(&limits).is_ok()
            {
                pages.push(SearchablePage { picture, words: Vec::new() });
            }
        }
        if !pages.is_empty() {
            println!("{}: {} pages", path.file_name().unwrap().to_string_lossy(), pages.len());
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            made.push(pdf(pages, folder.path(), &name));
        }
    }
    assert!(made.len() > 5, "{}", made.len());
    assert_valid(&made);
}

#[test]
fn real_scans_lie_as_they_look() {
    let Some(corpora) = corpora("real_scans_lie_as_they_look") else { return };
    let limits = PictureLimits::default();
    for (name, wanted, give) in [("clean-sans", 0.0, 0.15), ("blur-skew4", 4.0, 0.6)] {
        for index in 0..9 {
            let path = corpora.join(format!("scans-synthetic/o{index}_{name}.jpg"));
            let Ok(bytes) = fs::read(&path) else { continue };
            let gray = read(Format::Jpeg, &bytes).remove(0).gray(&limits).unwrap();
            let skew = gray.skew_degrees();
            assert!((skew.abs() - wanted).abs() <= give, "o{index}_{name}: {skew}");
            assert!(!gray.is_blank());
            let left = gray.deskewed(skew).gray().skew_degrees();
            assert!(left.abs() <= 0.15, "o{index}_{name}: {left} left");
        }
    }
}
