//! References to stored bytes.

use super::{Digest, EntityId};
use serde::{Deserialize, Serialize};

/// How the stored bytes are wrapped. The digest is always that of the plain bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Stored as they are.
    None,
}

/// One object of an entity: an original or a rendition. Its owner is the entity whose payload names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ObjectRef {
    /// The name of the bytes: a file's name at arrival, or what kind of rendition it is.
    pub name: String,
    /// SHA-256 of the plain bytes.
    pub sha256: Digest,
    /// Length of the plain bytes.
    pub size: u64,
    /// How the bytes are stored.
    pub enc: Encoding,
}

/// Where an owner's object lies below the tenant's folder: `o/<hh>/<owner id>-<sha256>`,
/// `hh` being the last byte of the owner's id.
pub fn object_name(owner: EntityId, sha256: &Digest) -> String {
    let last = owner.id.as_bytes()[15];
    format!("o/{last:02x}/{}-{sha256}", owner.id.hyphenated())
}

/// Where a payload lies below the tenant's folder: `e/<hh>/<sha256>`, `hh` being the digest's first byte.
pub fn payload_name(sha256: &Digest) -> String {
    format!("e/{:02x}/{sha256}", sha256.as_bytes()[0])
}

/// A leaf: exactly the line that `sha256sum` prints for the payload, with its line feed.
pub fn leaf_line(sha256: &Digest) -> String {
    format!("{sha256}  {}\n", payload_name(sha256))
}
