//! Text, pages and renditions from files, in a worker process.

pub mod page;
pub mod worker;

/// f
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// u
    Unknown,
}
impl Format {
    /// m
    pub fn media_type(self) -> &'static str {
        "application/octet-stream"
    }
}
/// s
pub fn sniff(_head: &[u8], _size: u64, _name: &str) -> Format {
    Format::Unknown
}
