//! Where a tenant's objects lie: `t/<tenant>/o`, `e` and `j`.

use crate::domain::{Digest, EntityId, TenantSlug, object};
use crate::store::{Key, Prefix};

/// The folder of one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    root: String,
}

impl Layout {
    /// The folder of this tenant.
    pub fn new(tenant: &TenantSlug) -> Self {
        Self { root: format!("t/{tenant}") }
    }

    fn key(&self, rest: &str) -> Key {
        Key::new(format!("{}/{rest}", self.root)).expect("made of safe characters and short")
    }

    /// Everything of the tenant.
    pub fn root(&self) -> Prefix {
        self.prefix("")
    }

    /// The folder `o`, `e` or `j`, or the root for the empty text.
    pub fn prefix(&self, folder: &str) -> Prefix {
        let text = if folder.is_empty() { self.root.clone() } else { format!("{}/{folder}", self.root) };
        Prefix::new(text).expect("made of safe characters and short")
    }

    /// The commit with this number: nine digits, a slash, three digits.
    pub fn commit(&self, seq: u64) -> Key {
        self.key(&format!("j/{:09}/{:03}", seq / 1_000, seq % 1_000))
    }

    /// A payload.
    pub fn payload(&self, sha256: &Digest) -> Key {
        self.key(&object::payload_name(sha256))
    }

    /// An original or a rendition.
    pub fn object(&self, owner: EntityId, sha256: &Digest) -> Key {
        self.key(&object::object_name(owner, sha256))
    }

    /// The folder that holds all objects of an owner (and others').
    pub fn object_folder(&self, owner: EntityId) -> Prefix {
        self.prefix(&format!("o/{:02x}", owner.id.as_bytes()[15]))
    }

    /// The key's name below the tenant's folder, if it lies there.
    pub fn local<'k>(&self, key: &'k Key) -> Option<&'k str> {
        key.as_str().strip_prefix(&self.root)?.strip_prefix('/')
    }

    /// The number of the commit that has this name below the tenant's folder.
    pub fn seq_of(local: &str) -> Option<u64> {
        let (high, low) = local.strip_prefix("j/")?.split_once('/')?;
        let digits = |text: &str, width| text.len() == width && text.bytes().all(|b| b.is_ascii_digit());
        if digits(high, 9) && digits(low, 3) { format!("{high}{low}").parse().ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commits_name_gives_its_number_back() {
        let layout = Layout::new(&"steverau".parse().unwrap());
        assert_eq!(layout.commit(1_234_567).as_str(), "t/steverau/j/000001234/567");
        for seq in [1, 999, 1_000, 123_456_789_012] {
            let key = layout.commit(seq);
            assert_eq!(Layout::seq_of(layout.local(&key).unwrap()), Some(seq));
        }
        assert_eq!(Layout::seq_of("j/00000001/000"), None);
        assert_eq!(layout.local(&"t/steverau2/j/1".parse().unwrap()), None);
    }
}
