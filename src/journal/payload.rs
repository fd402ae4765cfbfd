//! Payloads: the events of one entity in one commit, one RFC 8785 JSON object a line (`schema/payload.schema.json`).

use crate::domain::event::{Actor, Context, Event, Recorded, for_each_event};
use crate::domain::object::ObjectRef;
use crate::domain::{EntityId, digest};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Largest payload, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;

/// One line as it is stored.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    /// 32 random bytes, hexadecimal: without them nobody can guess a payload from its digest.
    #[serde(rename = "_salt")]
    salt: String,
    actor: Actor,
    data: Value,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    effective_on: Option<Date>,
    entity: EntityId,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    objects: Vec<ObjectRef>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    on_behalf_of: Option<Actor>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    reason: Option<String>,
    recorded_at: Timestamp,
    software: String,
    #[serde(rename = "type")]
    kind: String,
    version: u32,
}

/// A payload that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// An event of a kind or version that this program does not know: a newer one wrote it.
    #[error(
        "Ereignis „{kind}“ Version {version} ist dieser Programmversion unbekannt; bitte eine neuere einsetzen"
    )]
    Unknown {
        /// The stored type name.
        kind: String,
        /// The stored version.
        version: u32,
    },
    /// Not a line of the format.
    #[error("Zeile {line} der Ereignisdaten ist nicht lesbar")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it. May quote content: not for logs.
        source: serde_json::Error,
    },
    /// No event, or events of several entities.
    #[error("Die Ereignisdaten gehören nicht zu genau einem Gegenstand")]
    Owner,
}

macro_rules! convert {
    ($($name:literal, $version:literal, $kind:ident;)*) => {
        /// The stored name and current version of every event.
        pub(crate) const NAMES: &[(&str, u32)] = &[$(($name, $version)),*];

        fn store(event: &Event) -> (&'static str, u32, Result<Value, serde_json::Error>) {
            match event { $(Event::$kind(data) => ($name, $version, serde_json::to_value(data)),)* }
        }

        fn load(kind: &str, version: u32, data: Value, line: usize) -> Result<Event, PayloadError> {
            let unknown = || PayloadError::Unknown { kind: kind.to_owned(), version };
            let data = upcast(kind, version, data).ok_or_else(unknown)?;
            let unreadable = |source| PayloadError::Line { line, source };
            match kind {
                $($name => serde_json::from_value(data).map(Event::$kind).map_err(unreadable),)*
                _ => Err(unknown()),
            }
        }
    };
}
for_each_event!(convert);

/// Turns data of an older version into today's; `None` if the version is unknown. Every version that was ever
/// released has a line here and a fixture in `fixtures/archives`.
fn upcast(kind: &str, version: u32, data: Value) -> Option<Value> {
    let current = NAMES.iter().find(|(name, _)| *name == kind)?.1;
    (version == current).then_some(data)
}

/// The stored name of an event.
pub fn name(event: &Event) -> &'static str {
    store(event).0
}

/// The data of an event as it is stored.
pub fn data(event: &Event) -> Value {
    store(event).2.unwrap_or(Value::Null)
}

/// Writes the lines of one entity's events. `salts` gives 32 bytes a line.
pub fn write(events: &[Recorded], mut salt: impl FnMut() -> [u8; 32]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for recorded in events {
        let (kind, version, data) = store(&recorded.event);
        let context = &recorded.context;
        let line = Line {
            salt: digest::hex(&salt()),
            actor: context.actor,
            data: without_nulls(data.expect("events are plain data with text keys")),
            effective_on: context.effective_on,
            entity: recorded.entity,
            objects: recorded.objects.clone(),
            on_behalf_of: context.on_behalf_of,
            reason: context.reason.clone(),
            recorded_at: recorded.recorded_at,
            software: recorded.software.clone(),
            kind: kind.to_owned(),
            version,
        };
        let line = serde_json_canonicalizer::to_vec(&line).expect("lines are plain data with text keys");
        bytes.extend_from_slice(&line);
        bytes.push(b'\n');
    }
    bytes
}

/// Leaves out what is not known: a missing member and `null` mean the same.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(k, v)| (k, without_nulls(v)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

/// Reads a payload back.
///
/// # Errors
/// [`PayloadError`] when it is not one, or knows events that this program does not.
pub fn read(bytes: &[u8]) -> Result<Vec<Recorded>, PayloadError> {
    let mut events = Vec::<Recorded>::new();
    for (index, text) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let number = index + 1;
        let line: Line =
            serde_json::from_slice(text).map_err(|source| PayloadError::Line { line: number, source })?;
        if events.first().is_some_and(|first| first.entity != line.entity) {
            return Err(PayloadError::Owner);
        }
        events.push(Recorded {
            entity: line.entity,
            recorded_at: line.recorded_at,
            context: Context {
                actor: line.actor,
                on_behalf_of: line.on_behalf_of,
                effective_on: line.effective_on,
                reason: line.reason,
            },
            software: line.software,
            event: load(&line.kind, line.version, line.data, number)?,
            objects: line.objects,
        });
    }
    if events.is_empty() { Err(PayloadError::Owner) } else { Ok(events) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::EntityKind;
    use crate::domain::event::{BatchClosed, BatchOpened};
    use uuid::Uuid;

    fn recorded(event: Event) -> Recorded {
        Recorded {
            entity: EntityId::new(EntityKind::Batch, Uuid::from_u128(4)),
            recorded_at: "2026-03-01T10:00:00Z".parse().unwrap(),
            context: Context::by(Actor::System),
            software: "eakte 0.1.0".into(),
            event,
            objects: Vec::new(),
        }
    }

    fn batch() -> Vec<Recorded> {
        let opened =
            BatchOpened { sheets_expected: Some(3), ..BatchOpened::named("Karton 7 \u{20ac}", "scan") };
        let closed = BatchClosed { seen: 1, received: 1, duplicate: 0, rejected: 0 };
        vec![recorded(Event::BatchOpened(opened)), recorded(Event::BatchClosed(closed))]
    }

    #[test]
    fn a_payload_reads_back_what_was_written_and_every_salt_differs() {
        let mut salt = 0;
        let bytes = write(&batch(), || {
            salt += 1;
            [salt; 32]
        });
        assert_eq!(read(&bytes).unwrap(), batch());
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with(r#"{"_salt":"0101"#) && text.contains(r#""_salt":"0202"#), "{text}");
        assert!(!text.contains("null"), "{text}");
    }

    #[test]
    fn what_a_newer_version_wrote_stops_the_reader_by_name() {
        let text = String::from_utf8(write(&batch(), || [1; 32])).unwrap();
        for (from, to) in [("batch.opened", "batch.burnt"), (r#""version":1"#, r#""version":2"#)] {
            let error = read(text.replacen(from, to, 1).as_bytes()).unwrap_err();
            assert!(matches!(error, PayloadError::Unknown { .. }), "{error}");
        }
        assert!(matches!(read(b""), Err(PayloadError::Owner)));
        assert!(matches!(read(b"{}\n"), Err(PayloadError::Line { line: 1, .. })));
    }
}
