//! Bytes on their way out.

use std::{
    fmt,
    fs::File,
    io::{self, BufReader, Read},
};

/// Local reads go through a buffer of this size: 8 KiB chunks reach a fifth of the speed.
const BUFFER_BYTES: u64 = 256 * 1024;

/// The bytes of an object, or of a range of it, to be read in order.
///
/// Reading ends with an error, not with a silent end of file, when fewer bytes come than were promised.
pub struct Body {
    size_bytes: u64,
    left_bytes: u64,
    reader: Box<dyn Read + Send>,
}

impl Body {
    /// Promises `size_bytes` bytes from this reader; what lies behind them is never read.
    pub fn new(size_bytes: u64, reader: impl Read + Send + 'static) -> Self {
        Self { size_bytes, left_bytes: size_bytes, reader: Box::new(reader) }
    }

    /// The next `size_bytes` bytes of a file.
    pub(super) fn file(size_bytes: u64, file: File) -> Self {
        let capacity = usize::try_from(size_bytes.clamp(1, BUFFER_BYTES)).unwrap_or(1);
        Self::new(size_bytes, BufReader::with_capacity(capacity, file))
    }

    /// How many bytes there are in all.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left_bytes).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let read = self.reader.read(&mut buffer[..most])?;
        if read == 0 {
            let text = format!("the object ended {} bytes early", self.left_bytes);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        self.left_bytes -= read as u64;
        Ok(read)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("size_bytes", &self.size_bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(promised: u64, bytes: &'static [u8], expected: Result<&[u8], io::ErrorKind>) {
        let mut read = Vec::new();
        let outcome = Body::new(promised, bytes).read_to_end(&mut read).map_err(|error| error.kind());
        assert_eq!(outcome.map(|_| read.as_slice()), expected);
    }

    #[test]
    fn a_body_holds_exactly_what_it_promised() {
        check(3, b"abc", Ok(b"abc"));
        check(2, b"abc", Ok(b"ab"));
        check(0, b"", Ok(b""));
        check(4, b"abc", Err(io::ErrorKind::UnexpectedEof));
    }
}
