//! Files and folders as they lie at the source.

use crate::domain::Digest;
use crate::domain::codes::Rejection;
use crate::store::MARKER;
use crate::wording::os;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// One thing found at the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it lies.
    pub path: PathBuf,
    /// Its path below the source, safe to show and to store; unique within the source.
    pub shown: String,
    /// Why it cannot be read, if that is clear already.
    pub rejection: Option<(Rejection, String)>,
}

/// A path below a source as text: separated by `/`, without control characters, at most 1,000 characters, and
/// different for different paths.
pub fn shown_path(relative: &Path) -> String {
    let raw = relative.as_os_str().as_encoded_bytes();
    let exact = relative.to_str().map(str::to_owned);
    let shown = crate::domain::text::source_name(
        &exact.clone().unwrap_or_else(|| relative.as_os_str().to_string_lossy().into_owned()),
    );
    if exact.is_some_and(|exact| exact == shown) {
        return shown;
    }
    // Cut or replaced: a piece of the digest tells it from another that looks the same.
    let digest = Digest::of(raw).to_string();
    let head: String = shown.chars().take(980).collect();
    format!("{head} #{}", &digest[..12])
}

/// Walks through files and folders in order of their names. Links are followed once, and never out of the folder; hidden
/// files are not skipped. Archives of this program are: their papers are in already, and their tokens must not be.
#[derive(Debug)]
pub struct Walk {
    root: PathBuf,
    /// Entries to be visited, last first.
    stack: Vec<PathBuf>,
    /// Folders on the way down, by identity: a link back into one of them leads in a circle.
    seen: BTreeSet<PathBuf>,
    /// Where the root really lies: no link may lead out of it.
    real_root: Option<PathBuf>,
}

impl Walk {
    /// Begins at a file or folder. Paths are shown relative to it (a single file: its name).
    pub fn new(root: &Path) -> Self {
        let real_root = fs::canonicalize(root).ok();
        Self { root: root.to_owned(), stack: vec![root.to_owned()], seen: BTreeSet::new(), real_root }
    }

    fn found(&self, path: PathBuf, rejection: Option<(Rejection, String)>) -> Found {
        let relative = path.strip_prefix(&self.root).ok().filter(|rest| !rest.as_os_str().is_empty());
        let relative = relative
            .map_or_else(|| path.file_name().map_or_else(|| path.clone(), PathBuf::from), Path::to_path_buf);
        Found { shown: shown_path(&relative), path, rejection }
    }

    fn enter(&mut self, path: &Path) -> Result<(), (Rejection, String)> {
        let refused = |error: io::Error| (Rejection::Unreadable, os(&error));
        let real = fs::canonicalize(path).map_err(refused)?;
        if is_archive(&real) {
            return Err((
                Rejection::NotAFile,
                "ein Archiv von eakte wird nicht in eines aufgenommen".to_owned(),
            ));
        }
        if !self.seen.insert(real) {
            return Err((Rejection::Link, "Ordner wurde schon gelesen".to_owned()));
        }
        let mut children = Vec::new();
        for entry in fs::read_dir(path).map_err(refused)? {
            children.push(entry.map_err(refused)?.path());
        }
        children.sort_unstable_by(|a, b| b.cmp(a));
        self.stack.extend(children);
        Ok(())
    }

    /// Whether this is a link to something outside of the root.
    fn leads_out(&self, path: &Path) -> bool {
        let is_link = fs::symlink_metadata(path).is_ok_and(|facts| facts.is_symlink());
        let inside = |root: &PathBuf| fs::canonicalize(path).is_ok_and(|real| real.starts_with(root));
        is_link && path != self.root && !self.real_root.as_ref().is_some_and(inside)
    }
}

/// Whether a folder is a store, a data directory or a backup of this program.
fn is_archive(folder: &Path) -> bool {
    let has_marker = |folder: &Path| folder.join(MARKER).is_file();
    let is_data = || ["tokens", "tenants", "lock"].iter().all(|name| folder.join(name).exists());
    has_marker(folder) || has_marker(&folder.join("store")) || is_data()
}

impl Iterator for Walk {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            let path = self.stack.pop()?;
            let rejection = match fs::metadata(&path) {
                Ok(_) if self.leads_out(&path) => {
                    Some((Rejection::Link, "führt aus dem Ordner hinaus".to_owned()))
                }
                Ok(facts) if facts.is_dir() => match self.enter(&path) {
                    Ok(()) => continue,
                    Err(rejection) => Some(rejection),
                },
                Ok(facts) if facts.is_file() => None,
                Ok(_) => Some((Rejection::NotAFile, "Gerätedatei, Pipe oder Socket".to_owned())),
                Err(error) if fs::symlink_metadata(&path).is_ok_and(|facts| facts.is_symlink()) => {
                    Some((Rejection::Link, os(&error)))
                }
                Err(error) => Some((Rejection::Unreadable, os(&error))),
            };
            return Some(self.found(path, rejection));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::unix::ffi::OsStrExt as _;

    #[test]
    fn a_tree_is_walked_in_order_and_circles_end() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("b/c")).unwrap();
        for name in ["b/c/2.pdf", "b/1.pdf", "a ä.txt", ".hidden"] {
            fs::File::create(root.join(name)).unwrap().write_all(b"x").unwrap();
        }
        std::os::unix::fs::symlink(root.join("b"), root.join("b/c/up")).unwrap();
        std::os::unix::fs::symlink(root.join("nowhere"), root.join("dead")).unwrap();
        let found: Vec<_> =
            Walk::new(root).map(|found| (found.shown, found.rejection.map(|r| r.0))).collect();
        let expected = [
            (".hidden", None),
            ("a ä.txt", None),
            ("b/1.pdf", None),
            ("b/c/2.pdf", None),
            ("b/c/up", Some(Rejection::Link)),
            ("dead", Some(Rejection::Link)),
        ];
        assert_eq!(found, expected.map(|(name, why)| (name.to_owned(), why)));
        let single: Vec<_> = Walk::new(&root.join("b/1.pdf")).map(|found| found.shown).collect();
        assert_eq!(single, ["1.pdf"]);
    }

    #[test]
    fn links_out_of_the_folder_and_archives_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("scans");
        for name in ["scans/sub", "archiv/store", "scans/daten/tokens", "scans/daten/tenants"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        for name in ["geheim.txt", "scans/1.pdf", "archiv/store/eakte.json", "scans/daten/lock"] {
            fs::File::create(folder.path().join(name)).unwrap().write_all(b"x").unwrap();
        }
        std::os::unix::fs::symlink(folder.path().join("geheim.txt"), root.join("out")).unwrap();
        std::os::unix::fs::symlink(folder.path(), root.join("sub/up")).unwrap();
        std::os::unix::fs::symlink("1.pdf", root.join("same")).unwrap();
        let walk = |root: &Path| -> Vec<_> {
            Walk::new(root).map(|found| (found.shown, found.rejection.map(|r| r.0))).collect()
        };
        let expected = [
            ("1.pdf", None),
            ("daten", Some(Rejection::NotAFile)),
            ("out", Some(Rejection::Link)),
            ("same", None),
            ("sub/up", Some(Rejection::Link)),
        ];
        assert_eq!(walk(&root), expected.map(|(name, why)| (name.to_owned(), why)));
        assert_eq!(walk(&folder.path().join("archiv"))[0].1, Some(Rejection::NotAFile));
    }

    #[test]
    fn different_paths_are_shown_differently() {
        let odd = [
            PathBuf::from("a\nb"),
            PathBuf::from("a\u{240a}b"),
            PathBuf::from(std::ffi::OsStr::from_bytes(b"a\xffb")),
            PathBuf::from(std::ffi::OsStr::from_bytes(b"a\xfeb")),
            PathBuf::from("x".repeat(5_000)),
            PathBuf::from("x".repeat(5_001)),
        ];
        let shown: BTreeSet<String> = odd.iter().map(|path| shown_path(path)).collect();
        assert_eq!(shown.len(), odd.len());
        assert!(shown.iter().all(|text| text.chars().count() <= 1_000 && !text.contains(char::is_control)));
    }
}
