//! Names of things: every entity kind has its own id type, so that a case file is never taken for a document.

use std::{fmt, str::FromStr};
use uuid::Uuid;

/// Writes a type as the text its `Display` gives and reads it with its `FromStr`. What else its schema says of
/// the text comes after the name.
macro_rules! serde_as_text {
    ($name:ty $(, $schema:tt)?) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
        #[cfg(test)]
        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                #[allow(unused_mut, reason = "most types say no more than this")]
                let mut schema = schemars::json_schema!({ "type": "string" });
                $(
                    let more = serde_json::json!($schema);
                    for (key, value) in more.as_object().expect("written as an object here") {
                        schema.insert(key.clone(), value.clone());
                    }
                )?
                schema
            }
        }
    };
}
pub(crate) use serde_as_text;

/// An id that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("„{0}“ ist keine gültige Kennung (erwartet wird eine UUID)")]
pub struct InvalidId(String);

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $kind:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// Takes a UUID (version 7 for everything made by us).
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }
            /// The UUID itself.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.parse().map(Self).map_err(|_| InvalidId(super::text::source_name(text)))
            }
        }
        impl From<$name> for EntityId {
            fn from(id: $name) -> Self {
                EntityId { kind: EntityKind::$kind, id: id.0 }
            }
        }
        serde_as_text!($name, { "format": "uuid" });
    };
}

id_type!(
    /// Mandant: id of a tenant's own entity (its name in URLs is the [`TenantSlug`]).
    TenantId, Tenant
);
id_type!(
    /// Dienstkonto: a service account.
    AccountId, Account
);
id_type!(
    /// Organisationseinheit: a unit of the town hall.
    UnitId, Unit
);
id_type!(
    /// Aktenplaneinheit: a position in the file plan.
    PlanUnitId, PlanUnit
);
id_type!(
    /// Akte: a case file.
    CaseFileId, CaseFile
);
id_type!(
    /// Dokument: the smallest unit that is filed.
    DocumentId, Document
);
id_type!(
    /// Charge: files that arrived together.
    BatchId, Batch
);

/// What kind of thing an entity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntityKind {
    /// Mandant.
    Tenant,
    /// Dienstkonto.
    Account,
    /// Organisationseinheit.
    Unit,
    /// Aktenplaneinheit.
    PlanUnit,
    /// Akte.
    CaseFile,
    /// Dokument.
    Document,
    /// Charge.
    Batch,
}

impl EntityKind {
    /// Every kind, in the order of the design.
    pub const ALL: [Self; 7] = [
        Self::Tenant,
        Self::Account,
        Self::Unit,
        Self::PlanUnit,
        Self::CaseFile,
        Self::Document,
        Self::Batch,
    ];

    /// The word used in stored payloads and URLs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Account => "account",
            Self::Unit => "unit",
            Self::PlanUnit => "plan_unit",
            Self::CaseFile => "case_file",
            Self::Document => "document",
            Self::Batch => "batch",
        }
    }
}

impl fmt::Display for EntityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for EntityKind {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::ALL.into_iter().find(|kind| kind.word() == text).ok_or_else(|| InvalidId(text.to_owned()))
    }
}

serde_as_text!(EntityKind);

/// One entity of one tenant: the owner of events and objects. Written `document/0198…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityId {
    /// What it is.
    pub kind: EntityKind,
    /// Which one.
    pub id: Uuid,
}

impl EntityId {
    /// Names an entity.
    pub const fn new(kind: EntityKind, id: Uuid) -> Self {
        Self { kind, id }
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.id.hyphenated())
    }
}

impl FromStr for EntityId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId(super::text::source_name(text));
        let (kind, id) = text.split_once('/').ok_or_else(invalid)?;
        Ok(Self { kind: kind.parse()?, id: id.parse().map_err(|_| invalid())? })
    }
}

serde_as_text!(EntityId, { "pattern": "^(tenant|account|unit|plan_unit|case_file|document|batch)/[0-9a-f-]{36}$" });

/// Mandant: a tenant's immutable short name: 1 to 40 of `a-z 0-9 -`, starting with a letter.
///
/// It is the tenant's folder in the object store, so it can never change.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantSlug(String);

/// A short name that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "„{0}“ ist kein gültiges Mandantenkürzel: 1 bis 40 Zeichen aus a-z, 0-9 und -, am Anfang ein Buchstabe"
)]
pub struct InvalidSlug(String);

impl TenantSlug {
    /// The short name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantSlug {
    type Err = InvalidSlug;
    fn from_str(text: &str) -> Result<Self, InvalidSlug> {
        let fits = (1..=40).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidSlug(super::text::source_name(text))) }
    }
}

impl fmt::Display for TenantSlug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_text!(TenantSlug);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_id_reads_back_what_it_writes() {
        for kind in EntityKind::ALL {
            let id = EntityId::new(kind, Uuid::from_u128(7));
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        assert!("document".parse::<EntityId>().is_err());
        assert!("letter/00000000-0000-0000-0000-000000000007".parse::<EntityId>().is_err());
    }

    #[test]
    fn a_tenant_slug_is_a_safe_folder_name() {
        for good in ["steverau", "kreis-7", "t"] {
            assert_eq!(good.parse::<TenantSlug>().unwrap().as_str(), good);
        }
        for bad in ["", "7t", "Stadt", "a/b", "..", "ä", &"a".repeat(41)] {
            assert!(bad.parse::<TenantSlug>().is_err(), "{bad}");
        }
    }
}
