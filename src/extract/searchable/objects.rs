//! The frame of a PDF file: numbered objects one after another, then the table of where they begin.

use super::SearchableError;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use lopdf::{Dictionary, Object, StringFormat, Writer, dictionary};
use sha2::{Digest, Sha256};
use std::io::{self, Write};

/// An object's number and generation.
pub(super) type Id = (u32, u16);

/// Whatever takes objects of a PDF.
pub(super) trait Target {
    /// A number for an object that comes later.
    fn reserve(&mut self) -> Id;
    /// Takes an object under its number.
    fn object(&mut self, id: Id, object: &Object) -> io::Result<()>;
    /// Packs and takes a stream.
    fn packed_stream(&mut self, dictionary: Dictionary, bytes: &[u8]) -> io::Result<Id>;
}

impl Target for Sink<'_> {
    fn reserve(&mut self) -> Id {
        Sink::reserve(self)
    }

    fn object(&mut self, id: Id, object: &Object) -> io::Result<()> {
        Sink::object(self, id, object)
    }

    fn packed_stream(&mut self, dictionary: Dictionary, bytes: &[u8]) -> io::Result<Id> {
        Sink::packed_stream(self, dictionary, bytes)
    }
}

/// Takes objects in any order.
pub(super) struct Sink<'w> {
    out: &'w mut dyn Write,
    position: u64,
    digest: Sha256,
    /// Where each object begins; `None` while it is only reserved.
    places: Vec<Option<u64>>,
}

impl<'w> Sink<'w> {
    pub(super) fn start(out: &'w mut dyn Write) -> io::Result<Self> {
        let mut sink = Self { out, position: 0, digest: Sha256::new(), places: Vec::new() };
        // The second line tells transfer programs that the file is not text.
        sink.bytes(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")?;
        Ok(sink)
    }

    /// A number for an object that comes later.
    pub(super) fn reserve(&mut self) -> Id {
        self.places.push(None);
        (u32::try_from(self.places.len()).unwrap_or(u32::MAX), 0)
    }

    /// Writes an object under its number.
    pub(super) fn object(&mut self, id: Id, object: &Object) -> io::Result<()> {
        self.begin(id)?;
        self.value(object)?;
        self.bytes(b"\nendobj\n")
    }

    /// Writes a stream as it is.
    pub(super) fn stream(&mut self, dictionary: Dictionary, bytes: &[u8]) -> io::Result<Id> {
        let id = self.reserve();
        self.stream_at(id, dictionary, bytes)?;
        Ok(id)
    }

    /// Writes a stream as it is, under a number.
    pub(super) fn stream_at(&mut self, id: Id, mut dictionary: Dictionary, bytes: &[u8]) -> io::Result<()> {
        dictionary.set("Length", super::whole(bytes.len()));
        self.begin(id)?;
        self.value(&Object::Dictionary(dictionary))?;
        self.bytes(b"\nstream\n")?;
        self.bytes(bytes)?;
        // Both characters: after a lone line feed, data that ends with a carriage return would seem a byte shorter.
        self.bytes(b"\r\nendstream\nendobj\n")
    }

    /// Packs and writes a stream.
    pub(super) fn packed_stream(&mut self, mut dictionary: Dictionary, bytes: &[u8]) -> io::Result<Id> {
        dictionary.set("Filter", "FlateDecode");
        let packed = pack(bytes)?;
        self.stream(dictionary, &packed)
    }

    /// Writes the table and the end.
    pub(super) fn finish(mut self, catalog: Id, info: Id) -> Result<(), SearchableError> {
        // The same pages give the same identifier, other pages another one.
        let identifier = self.digest.clone().finalize()[..16].to_vec();
        let identifier = Object::String(identifier, StringFormat::Hexadecimal);
        let start = self.position;
        let count = self.places.len() + 1;
        self.bytes(format!("xref\n0 {count}\n0000000000 65535 f \n").as_bytes())?;
        for place in std::mem::take(&mut self.places) {
            let place = place.ok_or_else(|| io::Error::other("a reserved object was never written"))?;
            self.bytes(format!("{place:010} 00000 n \n").as_bytes())?;
        }
        self.bytes(b"trailer\n")?;
        self.value(&Object::Dictionary(dictionary! {
            "Size" => super::whole(count),
            "Root" => catalog,
            "Info" => info,
            "ID" => vec![identifier.clone(), identifier],
        }))?;
        self.bytes(format!("\nstartxref\n{start}\n%%EOF\n").as_bytes())?;
        self.out.flush()?;
        Ok(())
    }

    fn begin(&mut self, id: Id) -> io::Result<()> {
        let place = self.position;
        if let Some(slot) = self.places.get_mut(id.0 as usize - 1) {
            *slot = Some(place);
        }
        self.bytes(format!("{} 0 obj\n", id.0).as_bytes())
    }

    fn value(&mut self, object: &Object) -> io::Result<()> {
        let mut text = Vec::new();
        Writer::write_object(&mut text, object).map_err(io::Error::other)?;
        self.bytes(&text)
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.digest.update(bytes);
        self.position += bytes.len() as u64;
        Ok(())
    }
}

/// Packs bytes the way `FlateDecode` unpacks them.
pub(super) fn pack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(bytes)?;
    encoder.finish()
}
