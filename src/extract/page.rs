//! What reading a file gives, page by page: the types that the readers, the recogniser and the PDF writer share.

/// A word with its place on the upright page, in pixels of the page's picture (or points of a PDF page) from the
/// top left corner.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// The word.
    pub text: String,
    /// Left edge.
    pub left: f32,
    /// Upper edge.
    pub top: f32,
    /// Right edge.
    pub right: f32,
    /// Lower edge.
    pub bottom: f32,
    /// How sure the recogniser is, 0 to 100; 100 for a text layer.
    pub confidence: u8,
    /// Number of its line on the page, counted from 0 in reading order.
    pub line: u32,
}

/// A page in shades of grey, upright.
#[derive(Clone, PartialEq, Eq)]
pub struct Gray {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Row after row, one byte a pixel, 0 is black.
    pub pixels: Vec<u8>,
}

impl std::fmt::Debug for Gray {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gray({} x {})", self.width, self.height)
    }
}

/// How a picture must be turned to stand upright (EXIF and TIFF orientation, a PDF page's `/Rotate`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Turn {
    /// It stands.
    #[default]
    None,
    /// A quarter turn clockwise.
    Right,
    /// Half a turn.
    Half,
    /// A quarter turn counter-clockwise.
    Left,
}

/// A page that is one picture, with the picture's bytes as they are stored, ready to go into a PDF unchanged.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Pixels in a stored row.
    pub width: u32,
    /// Stored rows.
    pub height: u32,
    /// Dots per inch, across and down, of the stored picture.
    pub dpi: (f32, f32),
    /// How to turn it.
    pub turn: Turn,
    /// The bytes.
    pub data: Encoded,
}

/// Bytes of a picture in one of the forms that a PDF can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encoded {
    /// A JPEG file of 1 (grey), 3 (colour) or 4 (CMYK) components.
    Jpeg {
        /// The file.
        bytes: Vec<u8>,
        /// 1, 3 or 4.
        components: u8,
    },
    /// CCITT group 4 (ITU-T T.6).
    Group4 {
        /// The code.
        bytes: Vec<u8>,
        /// PDF's `/BlackIs1` for a page in `/DeviceGray`: `false` shows the code's black runs black, `true` shows
        /// them white (a TIFF whose photometric interpretation is "black is zero").
        black_is_1: bool,
    },
    /// A PNG file whose samples are packed as a PDF packs them: rows from top to bottom, 2, 4 or 8 bits a sample, grey,
    /// coloured or with a palette, nothing transparent.
    Png {
        /// The file.
        bytes: Vec<u8>,
    },
    /// A JPEG 2000 file.
    Jpeg2000 {
        /// The file.
        bytes: Vec<u8>,
    },
    /// JBIG2 in its embedded form.
    Jbig2 {
        /// Page segments.
        bytes: Vec<u8>,
        /// Shared segments.
        globals: Option<Vec<u8>>,
    },
    /// Samples, row after row, rows filled up to whole bytes.
    Raw {
        /// The samples.
        bytes: Vec<u8>,
        /// What they mean.
        samples: Samples,
    },
}

/// What the samples of a raw picture mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Samples {
    /// One bit a pixel, 0 is black.
    Bilevel,
    /// One byte a pixel, 0 is black.
    Gray8,
    /// Three bytes a pixel: red, green, blue.
    Rgb8,
}
