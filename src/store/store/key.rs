//! Names of objects.

use std::{fmt, str::FromStr, sync::Arc};

/// The folder of a local store that holds incoming bytes; no object may be named below it.
pub(super) const STAGING: &str = "staging";

const MAX_KEY_BYTES: usize = 512;
const MAX_SEGMENT_BYTES: usize = 200;

/// The name of an object relative to the store's root, such as `t/steverau/j/000000001/000`.
///
/// Segments of `A-Z a-z 0-9 . _ -` with `/` between them; no segment is empty, `.` or `..`, and the first is
/// not `staging`. So a key is a safe file name below the root and needs no escaping in a URL. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<str>);

/// A text that names no object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("kein gültiger Objektname: {0:?}")]
pub struct InvalidKey(String);

impl Key {
    /// Takes a name.
    ///
    /// # Errors
    ///
    /// When the text breaks a rule above, or is longer than 512 bytes (200 for one segment).
    pub fn new(text: impl Into<Arc<str>>) -> Result<Self, InvalidKey> {
        let text = text.into();
        if is_valid(&text) { Ok(Self(text)) } else { Err(InvalidKey(text.chars().take(80).collect())) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folder: everything before the last `/`; empty for a key in the root.
    pub fn folder(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}

/// A folder of the store, or its root when empty: what [`list`](super::ObjectStore::list) walks.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Prefix(Option<Key>);

impl Prefix {
    /// Everything.
    pub const ROOT: Self = Self(None);

    /// Takes a folder's name, without a trailing `/`; the empty text is the root.
    ///
    /// # Errors
    ///
    /// When the text is neither empty nor a valid [`Key`].
    pub fn new(text: impl Into<Arc<str>>) -> Result<Self, InvalidKey> {
        let text = text.into();
        if text.is_empty() { Ok(Self::ROOT) } else { Key::new(text).map(|key| Self(Some(key))) }
    }

    /// The folder's name, empty for the root.
    pub fn as_str(&self) -> &str {
        self.0.as_ref().map_or("", Key::as_str)
    }

    /// Whether the key lies below this folder, at any depth.
    pub fn covers(&self, key: &Key) -> bool {
        self.0.as_ref().is_none_or(|folder| {
            key.0.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'))
        })
    }
}

fn is_valid(text: &str) -> bool {
    text.len() <= MAX_KEY_BYTES
        && text.split('/').all(is_valid_segment)
        && text.split('/').next() != Some(STAGING)
}

fn is_valid_segment(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..")
        && segment.len() <= MAX_SEGMENT_BYTES
        && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

macro_rules! text_like {
    ($name:ty) => {
        impl FromStr for $name {
            type Err = InvalidKey;

            fn from_str(text: &str) -> Result<Self, InvalidKey> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

text_like!(Key);
text_like!(Prefix);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stays_below_the_root_and_needs_no_escaping() {
        for good in ["a", "t/steverau/o/ff/0192-ab", "eakte.json", "a/staging", "..a/b..", "a/-/_"] {
            assert_eq!(good.parse::<Key>().map(|key| key.to_string()), Ok(good.to_owned()));
        }
        let long = "x".repeat(201);
        let longer = ["abcdefgh"; 60].join("/");
        for bad in [
            "",
            "/a",
            "a/",
            "a//b",
            ".",
            "a/..",
            "../a",
            "a b",
            "ä",
            "a#1",
            "a\0",
            "staging/1",
            "staging",
            &long,
            &longer,
        ] {
            assert!(bad.parse::<Key>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_prefix_covers_whole_segments_only() {
        let key = Key::new("t/a/o/1").unwrap();
        for (prefix, expected) in
            [("", true), ("t", true), ("t/a", true), ("t/a/o/1", false), ("t/a/o/", false)]
        {
            assert_eq!(Prefix::new(prefix).is_ok_and(|prefix| prefix.covers(&key)), expected, "{prefix:?}");
        }
        assert!(!Prefix::new("t/a/o/1").unwrap().covers(&Key::new("t/a/o/12").unwrap()));
    }

    #[test]
    fn a_folder_is_what_stands_before_the_last_slash() {
        assert_eq!(Key::new("a/b/c").unwrap().folder(), "a/b");
        assert_eq!(Key::new("c").unwrap().folder(), "");
    }
}
