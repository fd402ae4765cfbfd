//! Closed lists of words that records carry. The words are stored; they never change their meaning.

/// Declares an enum whose values are written as fixed words.
macro_rules! word_list {
    ($(#[$doc:meta])* $name:ident, $what:literal, $($(#[$vdoc:meta])* $value:ident = $word:literal),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $value),+ }

        impl $name {
            /// Every value, in the order of the list.
            pub const ALL: &'static [Self] = &[$(Self::$value),+];
            /// The stored word.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$value => $word),+ }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
        impl std::str::FromStr for $name {
            type Err = super::codes::UnknownWord;
            fn from_str(text: &str) -> Result<Self, super::codes::UnknownWord> {
                Self::ALL.iter().copied().find(|value| value.word() == text).ok_or_else(|| super::codes::UnknownWord {
                    what: $what,
                    word: super::text::source_name(text),
                    known: [$($word),+].join(", "),
                })
            }
        }
        super::ids::serde_as_text!($name, { "enum": [$($word),+] });
    };
}
pub(crate) use word_list;

/// A word that is not on its list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} „{word}“ ist unbekannt (möglich: {known})")]
pub struct UnknownWord {
    /// Which list.
    pub what: &'static str,
    /// What was given.
    pub word: String,
    /// What could have been given.
    pub known: String,
}

word_list!(
    /// Schutzklasse: who may know of a case file at all; the strictest rule of its content decides.
    Protection, "Schutzklasse",
    /// No special protection.
    Normal = "normal",
    /// Personalakten.
    Personnel = "personnel",
    /// Sozialdaten (§ 35 SGB I).
    Social = "social",
    /// Jugendhilfe (§ 61 SGB VIII).
    Youth = "youth",
    /// Steuergeheimnis (§ 30 AO).
    Tax = "tax",
);

word_list!(
    /// Medium: whether a case file lives on paper, electronically, or both (xdomea code list Medium).
    Medium, "Medium",
    /// Elektronisch.
    Electronic = "electronic",
    /// Hybrid: Papierrest vorhanden.
    Hybrid = "hybrid",
    /// Nur Papier.
    Paper = "paper",
);

word_list!(
    /// Aussonderungsart: what is to happen when retention ends (xdomea code list Aussonderungsart).
    Disposal, "Aussonderungsart",
    /// Archivwürdig.
    Archive = "A",
    /// Bewerten.
    Appraise = "B",
    /// Vernichten.
    Destroy = "V",
);

word_list!(
    /// Richtung: whether a document came in, went out, or stayed inside.
    Direction, "Richtung",
    /// Eingang.
    In = "in",
    /// Ausgang.
    Out = "out",
    /// Intern.
    Internal = "internal",
);

word_list!(
    /// Herkunft: how a document reached the archive.
    Origin, "Herkunft",
    /// Scanned from paper.
    Scan = "scan",
    /// Uploaded as a file.
    Upload = "upload",
    /// Taken from a mailbox.
    Mail = "mail",
    /// An online application (OZG).
    Ozg = "ozg",
);

word_list!(
    /// Geheimhaltungsgrad: only the first two may be kept on this system; anything above is refused (VSA).
    Classification, "Geheimhaltungsgrad",
    /// Offen.
    Open = "offen",
    /// VS - Nur für den Dienstgebrauch.
    Restricted = "vs-nfd",
    /// VS-Vertraulich.
    Confidential = "vs-vertraulich",
    /// Geheim.
    Secret = "geheim",
    /// Streng geheim.
    TopSecret = "streng-geheim",
);

impl Classification {
    /// Whether content of this class may be kept here.
    pub const fn is_storable(self) -> bool {
        matches!(self, Self::Open | Self::Restricted)
    }
}

word_list!(
    /// Rolle: what a service account may do.
    Role, "Rolle",
    /// Sachbearbeitung.
    Clerk = "clerk",
    /// Scanstelle.
    Scanner = "scanner",
    /// Registratur.
    Records = "records",
    /// Rechnungsprüfung.
    Auditor = "auditor",
);

word_list!(
    /// What became of a file of a batch.
    LineStatus, "Ergebnis",
    /// Stored as a document.
    Received = "received",
    /// The same bytes already lay in the same case file.
    Duplicate = "duplicate",
    /// Not stored, with a reason.
    Rejected = "rejected",
);

word_list!(
    /// Why a file was not stored.
    Rejection, "Ablehnungsgrund",
    /// 0 bytes.
    Empty = "empty",
    /// Larger than the configured limit.
    TooLarge = "too-large",
    /// The source could not be read to its end.
    Unreadable = "unreadable",
    /// It grew or changed while it was read.
    Changed = "changed-while-reading",
    /// It is not a regular file.
    NotAFile = "not-a-file",
    /// A link that leads in a circle, or out of the folder.
    Link = "link",
    /// Classified above VS-NfD.
    Classified = "classified",
    /// Digest or length are not what the sender declared.
    DigestMismatch = "digest-mismatch",
    /// The manifest's line cannot be understood.
    Manifest = "manifest",
    /// The case file does not exist or takes no documents.
    CaseFile = "case-file",
);

impl Rejection {
    /// The reason in German, for people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Empty => "Die Datei ist leer (0 Byte).",
            Self::TooLarge => "Die Datei ist größer als die eingestellte Grenze.",
            Self::Unreadable => "Die Datei konnte nicht gelesen werden.",
            Self::Changed => "Die Datei wurde während des Lesens verändert.",
            Self::NotAFile => "Das ist keine Datei.",
            Self::Link => "Die Verknüpfung führt im Kreis, ins Leere oder aus dem Ordner hinaus.",
            Self::Classified => {
                "Höher als VS-NfD eingestufte Unterlagen dürfen hier nicht gespeichert werden."
            }
            Self::DigestMismatch => "Prüfsumme oder Länge stimmen nicht mit den angekündigten überein.",
            Self::Manifest => "Die Zeile der Begleitliste ist nicht verständlich.",
            Self::CaseFile => "Die Akte gibt es nicht, oder sie nimmt keine Dokumente auf.",
        }
    }
}
