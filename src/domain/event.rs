//! What has happened: the types in this file are the stored format (`schema/events/`), so a field is never
//! renamed or dropped. A change of meaning is a new version of the event; `journal::payload` reads every
//! version that was ever written.

use super::codes::{Classification, Direction, Disposal, Medium, Origin, Protection, Rejection, Role};
use super::finding::Finding;
use super::guard::{Effects, UniqueKey};
use super::object::ObjectRef;
use super::{BatchId, CaseFileId, Digest, EntityId, PlanUnitId, UnitId};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Who acted. A pseudonym: only the tenant can say who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Actor {
    /// A service account.
    Service(super::AccountId),
    /// The installation itself: digitising, clean-up.
    System,
}

/// Everything about an event but what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Who acted.
    pub actor: Actor,
    /// For whom, if not for themselves.
    pub on_behalf_of: Option<Actor>,
    /// The day from which it counts, if not the day it was recorded.
    pub effective_on: Option<Date>,
    /// Why, where a reason is asked for.
    pub reason: Option<String>,
}

impl Context {
    /// Someone acting for themselves, now, without a reason.
    pub const fn by(actor: Actor) -> Self {
        Self { actor, on_behalf_of: None, effective_on: None, reason: None }
    }
}

/// An event as it is read back: what, to whom, when, by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Whose event.
    pub entity: EntityId,
    /// When the commit was made.
    pub recorded_at: Timestamp,
    /// By whom and why.
    pub context: Context,
    /// The program that wrote it.
    pub software: String,
    /// What happened.
    pub event: Event,
    /// Objects that belong to the entity since this event.
    pub objects: Vec<ObjectRef>,
}

/// What happened to one entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Mandant angelegt.
    TenantCreated(TenantCreated),
    /// Dienstkonto angelegt.
    AccountCreated(AccountCreated),
    /// Organisationseinheit angelegt.
    UnitCreated(UnitCreated),
    /// Aktenplaneinheit angelegt.
    PlanUnitCreated(PlanUnitCreated),
    /// Ordnungsnummer gezogen.
    NumberDrawn(NumberDrawn),
    /// Akte angelegt.
    CaseFileOpened(CaseFileOpened),
    /// Akte zu den Akten verfügt (z.d.A.).
    CaseFileClosed(CaseFileClosed),
    /// Charge eröffnet.
    BatchOpened(BatchOpened),
    /// Dateien einer Charge, die nicht gespeichert wurden.
    FilesRejected(FilesRejected),
    /// Charge abgeschlossen.
    BatchClosed(BatchClosed),
    /// Dokument eingegangen.
    DocumentReceived(DocumentReceived),
    /// Dieselben Bytes kamen noch einmal für dieselbe Akte an.
    DuplicateArrived(DuplicateArrived),
    /// Neue Version eines Dokuments.
    VersionAdded(VersionAdded),
    /// Dokument in eine Akte abgelegt oder umgelegt.
    DocumentFiled(DocumentFiled),
    /// Dokument erschlossen: Text, Seiten, Darstellungen.
    DocumentDigitised(DocumentDigitised),
    /// Löschung erlaubt: the commit of this event may erase other entities' leaves.
    ErasurePermitted(ErasurePermitted),
    /// Löschung vollzogen.
    ErasureCompleted(ErasureCompleted),
    /// Herrenlose Objekte entfernt.
    ObjectsSwept(ObjectsSwept),
}

/// Calls a macro with every event's stored name, current version and type.
macro_rules! for_each_event {
    ($call:ident) => {
        $call! {
            "tenant.created", 1, TenantCreated;
            "account.created", 1, AccountCreated;
            "unit.created", 1, UnitCreated;
            "plan_unit.created", 1, PlanUnitCreated;
            "number.drawn", 1, NumberDrawn;
            "case_file.opened", 1, CaseFileOpened;
            "case_file.closed", 1, CaseFileClosed;
            "batch.opened", 1, BatchOpened;
            "batch.files_rejected", 1, FilesRejected;
            "batch.closed", 1, BatchClosed;
            "document.received", 1, DocumentReceived;
            "document.duplicate_arrived", 1, DuplicateArrived;
            "document.version_added", 1, VersionAdded;
            "document.filed", 1, DocumentFiled;
            "document.digitised", 1, DocumentDigitised;
            "erasure.permitted", 1, ErasurePermitted;
            "erasure.completed", 1, ErasureCompleted;
            "objects.swept", 1, ObjectsSwept;
        }
    };
}
pub(crate) use for_each_event;

/// Declares an event's data: a stored struct with optional fields left out when empty.
macro_rules! data {
    ($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident : $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[$fdoc])* pub $field: $type),* }
    };
}

data!(
    /// Mandant: a town or another body that keeps its own records.
    TenantCreated {
        /// Its name, as on letterheads.
        name: String,
        /// The zone in which civil dates count, such as `Europe/Berlin`.
        time_zone: String,
        /// How file references are made, such as `{plan}-{year}/{seq}`.
        reference_template: String,
    }
);

data!(
    /// Dienstkonto: something that may call the API with a token.
    AccountCreated {
        /// What it is for. Not a person's name.
        label: String,
        /// What it may do.
        roles: Vec<Role>,
        /// SHA-256 of the token's text (256 random bits, so no slow hash is needed).
        token_sha256: Digest,
    }
);

data!(
    /// Organisationseinheit.
    UnitCreated {
        /// Short code, such as `60`.
        code: String,
        /// Name.
        name: String,
        /// The unit above.
        parent: Option<UnitId>,
    }
);

data!(
    /// Aktenplaneinheit.
    PlanUnitCreated {
        /// Code, such as `60.10`.
        code: String,
        /// What belongs here.
        title: String,
        /// The position above.
        parent: Option<PlanUnitId>,
        /// Retention class of case files opened here, such as `10`; inherited downwards where empty.
        retention_class: Option<String>,
        /// What happens at the end of retention.
        disposal: Option<Disposal>,
        /// The law behind the class.
        legal_basis: Option<String>,
    }
);

data!(
    /// Ordnungsnummer: a gapless counter of this entity moved by one.
    NumberDrawn {
        /// What is counted, such as a year.
        scope: String,
        /// The number drawn; the first is 1.
        value: u64,
    }
);

data!(
    /// Beteiligte: a person or body that a case file is about.
    Party {
        /// In which role, such as `Antragstellerin`.
        role: String,
        /// Name.
        name: String,
    }
);

data!(
    /// Akte: everything known about a case file when it is opened.
    CaseFileOpened {
        /// Aktenzeichen.
        reference: String,
        /// Old signatures under which it is also found.
        aliases: Vec<String>,
        /// Betreff.
        title: String,
        /// Where it stands in the file plan.
        plan_unit: PlanUnitId,
        /// Federführende Organisationseinheit.
        unit: UnitId,
        /// Aktentyp, such as `Bauakte`.
        case_type: String,
        /// Schutzklasse.
        protection: Protection,
        /// Aufbewahrungsklasse.
        retention_class: String,
        /// Paper, electronic, or both.
        medium: Medium,
        /// Where the paper stands.
        paper_location: Option<String>,
        /// Laufzeit: first day.
        begins_on: Option<Date>,
        /// Laufzeit: last day.
        ends_on: Option<Date>,
        /// z.d.A. before it came here: a file taken over closed.
        closed_on: Option<Date>,
        /// Beteiligte.
        parties: Vec<Party>,
        /// Index fields of the case-file type.
        fields: BTreeMap<String, String>,
        /// The key under which a manifest named it, so that a repeated import is the same import.
        import_key: Option<String>,
    }
);

data!(
    /// z.d.A.: the case file takes no more documents. The day it counts from is in the envelope.
    CaseFileClosed {}
);

data!(
    /// Charge: files that arrived together, with what a transfer note will need (TR-RESISCAN A.NB.4).
    BatchOpened {
        /// Name, unique in the tenant.
        name: String,
        /// The source as it was named: a folder or an upload.
        source: String,
        /// Karton.
        box_label: Option<String>,
        /// Who scanned: a pseudonym that the tenant resolves.
        person: Option<String>,
        /// Arbeitsplatz.
        station: Option<String>,
        /// Scanner: make and serial number.
        scanner: Option<String>,
        /// Scan profile: resolution, colour, duplex.
        profile: Option<String>,
        /// When it was scanned.
        scanned_at: Option<Timestamp>,
        /// Version of the procedure document (Verfahrensdokumentation) that applied.
        procedure_version: Option<String>,
        /// Sheets counted at preparation.
        sheets_expected: Option<u32>,
        /// Pages counted at preparation.
        pages_expected: Option<u32>,
        /// What was odd about the paper or the scanning.
        anomalies: Vec<String>,
    }
);

data!(
    /// A file of a batch that was not stored.
    RejectedFile {
        /// Its path within the source.
        path: String,
        /// Length, if it was read.
        size: Option<u64>,
        /// Why it was rejected.
        rejection: Rejection,
        /// More about it, for people; names the thing, not its content.
        detail: Option<String>,
    }
);

data!(
    /// Files of a batch that were not stored.
    FilesRejected {
        /// One line a file.
        files: Vec<RejectedFile>,
    }
);

data!(
    /// Charge abgeschlossen: what was counted, to be compared with what is stored.
    BatchClosed {
        /// Files seen at the source.
        seen: u64,
        /// Files that became documents.
        received: u64,
        /// Files whose bytes already were in the same case file.
        duplicate: u64,
        /// Files that were not stored.
        rejected: u64,
    }
);

data!(
    /// Dokument eingegangen: from this event's commit on it exists. Its first object is the original.
    DocumentReceived {
        /// The case file it belongs to; none means the inbox (Posteingang).
        case_file: Option<CaseFileId>,
        /// The unit whose inbox it lies in, where there is no case file.
        unit: Option<UnitId>,
        /// Betreff.
        title: String,
        /// The file's name at arrival.
        source_name: String,
        /// Its path within the batch's source.
        source_path: Option<String>,
        /// Dokumenttyp, such as `Bescheid`.
        document_type: Option<String>,
        /// Datum des Schreibens.
        document_date: Option<Date>,
        /// Posteingangsdatum.
        received_on: Option<Date>,
        /// Richtung.
        direction: Option<Direction>,
        /// Herkunft.
        origin: Origin,
        /// Geheimhaltungsgrad, if stated.
        classification: Option<Classification>,
        /// The batch it came with.
        batch: Option<BatchId>,
        /// What the bytes are: a media type found by looking at them.
        media_type: String,
        /// What is odd about them.
        findings: Vec<Finding>,
        /// The caller's key for this request.
        idempotency_key: Option<String>,
    }
);

data!(
    /// The document's bytes came once more for the same case file, as part of a batch. Recorded with the
    /// document, not the batch, so that the file's name can be erased with it.
    DuplicateArrived {
        /// The batch it came with.
        batch: BatchId,
        /// Its path within the batch's source.
        source_path: String,
    }
);

data!(
    /// A further version of a document; earlier ones stay. Its first object is the original.
    VersionAdded {
        /// 2 and up.
        number: u32,
        /// The file's name at arrival.
        source_name: String,
        /// What the bytes are.
        media_type: String,
        /// What is odd about them.
        findings: Vec<Finding>,
        /// The caller's key for this request.
        idempotency_key: Option<String>,
    }
);

data!(
    /// Ablage: the document lies in this case file from now on, all its versions with it. Why is in the envelope.
    DocumentFiled {
        /// Where it lies now.
        case_file: CaseFileId,
        /// Where it lay before; none means the inbox (Posteingang).
        from: Option<CaseFileId>,
        /// SHA-256 of its first version: these bytes are now taken there, and no longer here.
        sha256: Digest,
    }
);

data!(
    /// Erschließung: what reading the document gave. Replaces what an earlier generation gave.
    DocumentDigitised {
        /// 1 and up, over all versions.
        generation: u32,
        /// Which version was read.
        of_version: u32,
        /// Programs and their versions.
        engine: String,
        /// Number of pages.
        pages: u32,
        /// Pages read by character recognition.
        ocr_pages: u32,
        /// Pages that still wait for it.
        ocr_pending: u32,
        /// Blank pages.
        blank_pages: u32,
        /// Mean confidence of recognised words, 0 to 100.
        mean_confidence: Option<u8>,
        /// Which object holds the page texts.
        text: Option<Digest>,
        /// Which object is the searchable PDF.
        pdf: Option<Digest>,
        /// What is odd about the document.
        findings: Vec<Finding>,
    }
);

data!(
    /// Leaves of one commit: first and last position, both included.
    LeafRange {
        /// First position.
        first: u64,
        /// Last position.
        last: u64,
    }
);

data!(
    /// Löschung erlaubt. The commit that holds this event lists the same leaves under `erases`.
    ErasurePermitted {
        /// What is erased.
        entities: Vec<EntityId>,
        /// All leaves of these entities.
        leaves: Vec<LeafRange>,
    }
);

data!(
    /// Löschung vollzogen: objects and payloads are gone and every projection has let go.
    ErasureCompleted {
        /// The commit that permitted it.
        permitted_by: u64,
    }
);

data!(
    /// Objects that no commit names were removed after their waiting time.
    ObjectsSwept {
        /// Their names below the tenant's folder.
        objects: Vec<String>,
    }
);

impl Event {
    /// What the event does to guards, seen from its entity.
    pub fn effects(&self, objects: &[ObjectRef]) -> Effects {
        let mut effects = Effects::default();
        let claims = &mut effects.claims;
        let original = |target| objects.first().map(|object| UniqueKey::content(target, &object.sha256));
        match self {
            Self::AccountCreated(data) => claims.push(UniqueKey::account(&data.label)),
            Self::UnitCreated(data) => claims.push(UniqueKey::unit(&data.code)),
            Self::PlanUnitCreated(data) => claims.push(UniqueKey::plan_unit(&data.code)),
            Self::NumberDrawn(data) => effects.counter = Some((data.scope.clone(), data.value)),
            Self::CaseFileOpened(data) => {
                claims.push(UniqueKey::reference(&data.reference));
                claims.extend(data.import_key.as_deref().map(UniqueKey::import));
            }
            Self::BatchOpened(data) => claims.push(UniqueKey::batch(&data.name)),
            Self::CaseFileClosed(_) | Self::BatchClosed(_) => effects.moves_life_cycle = true,
            Self::DocumentReceived(data) => {
                claims.extend(original(data.case_file));
                claims.extend(data.idempotency_key.as_deref().map(UniqueKey::idempotency));
            }
            Self::VersionAdded(data) => {
                claims.extend(data.idempotency_key.as_deref().map(UniqueKey::idempotency));
            }
            Self::DocumentFiled(data) => {
                effects.releases.push(UniqueKey::content(data.from, &data.sha256));
                claims.push(UniqueKey::content(Some(data.case_file), &data.sha256));
            }
            Self::TenantCreated(_)
            | Self::DuplicateArrived(_)
            | Self::FilesRejected(_)
            | Self::DocumentDigitised(_)
            | Self::ErasurePermitted(_)
            | Self::ErasureCompleted(_)
            | Self::ObjectsSwept(_) => {}
        }
        effects
    }
}
