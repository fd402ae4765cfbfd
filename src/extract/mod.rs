//! Text, pages and renditions from files, in a worker process.

pub mod page;
pub mod pdf_picture;
pub mod pictures;
pub mod raster;
pub mod searchable;
pub mod worker;

/// f
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// u
    Unknown,
    /// TIFF, one page or many.
    Tiff,
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
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
