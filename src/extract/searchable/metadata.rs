//! What the file says about itself: catalogue, colour intent, document information, and the same as XMP.

use super::objects::{Id, Sink};
use super::{Facts, profile};
use lopdf::{Object, StringFormat, dictionary};
use std::io;

/// Writes the catalogue; gives the number of the document information.
pub(super) fn write_catalog(sink: &mut Sink<'_>, catalog: Id, tree: Id, facts: &Facts) -> io::Result<Id> {
    let facts = Said::of(facts);
    let profile = sink.packed_stream(dictionary! { "N" => 3 }, &profile::srgb())?;
    let metadata =
        sink.stream(dictionary! { "Type" => "Metadata", "Subtype" => "XML" }, facts.xmp().as_bytes())?;
    let ascii = |text: &str| Object::String(text.as_bytes().to_vec(), StringFormat::Literal);
    let mut info = dictionary! {
        "Producer" => lopdf::text_string(&facts.producer),
        "CreationDate" => ascii(&facts.info_date()),
        "ModDate" => ascii(&facts.info_date()),
    };
    if !facts.title.is_empty() {
        info.set("Title", lopdf::text_string(&facts.title));
    }
    let information = sink.reserve();
    sink.object(information, &Object::Dictionary(info))?;
    let intent = dictionary! {
        "Type" => "OutputIntent",
        "S" => "GTS_PDFA1",
        "OutputConditionIdentifier" => ascii("sRGB IEC61966-2.1"),
        "Info" => ascii("sRGB IEC61966-2.1"),
        "DestOutputProfile" => profile,
    };
    sink.object(
        catalog,
        &Object::Dictionary(dictionary! {
            "Type" => "Catalog",
            "Pages" => tree,
            "Metadata" => metadata,
            "OutputIntents" => vec![Object::Dictionary(intent)],
            "Lang" => ascii(&facts.language),
            "ViewerPreferences" => dictionary! { "DisplayDocTitle" => !facts.title.is_empty() },
        }),
    )?;
    Ok(information)
}

/// Facts that can be written in both places.
struct Said {
    title: String,
    producer: String,
    language: String,
    created: jiff::Timestamp,
}

impl Said {
    fn of(facts: &Facts) -> Self {
        // A title with a line feed or a control character is not the same in XML and in PDF.
        let clean = |text: &str| {
            let visible: String = text
                .chars()
                .map(|letter| if letter.is_control() { ' ' } else { letter })
                .filter(|letter| !matches!(letter, '\u{feff}' | '\u{fffe}' | '\u{ffff}'))
                .take(2_000)
                .collect();
            visible.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let well_formed = facts.language.split('-').enumerate().all(|(index, part)| {
            (1..=8).contains(&part.len())
                && part.bytes().all(|byte| byte.is_ascii_alphabetic() || (index > 0 && byte.is_ascii_digit()))
        });
        let producer = clean(&facts.producer);
        Self {
            title: clean(&facts.title),
            producer: if producer.is_empty() { "eakte".to_owned() } else { producer },
            language: if well_formed { facts.language.clone() } else { "de".to_owned() },
            created: facts.created,
        }
    }

    fn info_date(&self) -> String {
        format!("{}Z", self.created.strftime("D:%Y%m%d%H%M%S"))
    }

    fn xmp(&self) -> String {
        let date = self.created.strftime("%Y-%m-%dT%H:%M:%SZ");
        let title = match self.title.as_str() {
            "" => String::new(),
            title => format!(
                "\n  <dc:title><rdf:Alt><rdf:li xml:lang=\"x-default\">{}</rdf:li></rdf:Alt></dc:title>",
                escaped(title)
            ),
        };
        format!(
            "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n\
<x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\n\
<rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n \
<rdf:Description rdf:about=\"\"\n   \
xmlns:dc=\"http://purl.org/dc/elements/1.1/\"\n   \
xmlns:pdf=\"http://ns.adobe.com/pdf/1.3/\"\n   \
xmlns:pdfaid=\"http://www.aiim.org/pdfa/ns/id/\"\n   \
xmlns:xmp=\"http://ns.adobe.com/xap/1.0/\">\n  \
<pdfaid:part>2</pdfaid:part>\n  \
<pdfaid:conformance>U</pdfaid:conformance>\n  \
<dc:format>application/pdf</dc:format>{title}\n  \
<pdf:Producer>{producer}</pdf:Producer>\n  \
<xmp:CreateDate>{date}</xmp:CreateDate>\n  \
<xmp:ModifyDate>{date}</xmp:ModifyDate>\n  \
<xmp:MetadataDate>{date}</xmp:MetadataDate>\n \
</rdf:Description>\n\
</rdf:RDF>\n\
</x:xmpmeta>\n\
<?xpacket end=\"w\"?>",
            producer = escaped(&self.producer),
        )
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
