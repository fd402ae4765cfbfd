//! German words for what the operating system and the parsers of libraries say in English. Every message that a
//! person reads takes them from here; what nobody here knows follows in brackets, marked as technical.

use std::io;

/// Why the operating system refused, to stand behind a colon or in brackets: `keine Berechtigung`.
pub fn os(error: &io::Error) -> String {
    let known = by_number(error).or_else(|| by_kind(error.kind()));
    // A cause of our own or a library's stands inside; the system's own text says the same in English.
    let inside = error.get_ref().map(ToString::to_string).filter(|text| !text.is_empty());
    match (known, inside) {
        (Some(known), None) => known.to_owned(),
        (Some(known), Some(inside)) => format!("{known} ({inside})"),
        (None, Some(inside)) => inside,
        (None, None) => technical("das Betriebssystem verweigert es", &error.to_string()),
    }
}

/// Refusals that have no kind of their own.
fn by_number(error: &io::Error) -> Option<&'static str> {
    Some(match error.raw_os_error()? {
        5 => "Ein-/Ausgabefehler des Datenträgers",
        23 | 24 => "zu viele Dateien sind offen",
        40 => "die Verweise führen im Kreis",
        _ => return None,
    })
}

fn by_kind(kind: io::ErrorKind) -> Option<&'static str> {
    use io::ErrorKind as Kind;
    Some(match kind {
        Kind::NotFound => "nicht vorhanden",
        Kind::PermissionDenied => "keine Berechtigung",
        Kind::AlreadyExists => "schon vorhanden",
        Kind::IsADirectory => "ist ein Ordner",
        Kind::NotADirectory => "ein Teil des Pfades ist kein Ordner",
        Kind::DirectoryNotEmpty => "der Ordner ist nicht leer",
        Kind::InvalidFilename => "der Name ist zu lang oder nicht erlaubt",
        Kind::ReadOnlyFilesystem => "der Datenträger ist schreibgeschützt",
        Kind::StorageFull => "der Datenträger ist voll",
        Kind::QuotaExceeded => "das Speicherkontingent ist erschöpft",
        Kind::FileTooLarge => "die Datei ist größer als erlaubt",
        Kind::ResourceBusy | Kind::ExecutableFileBusy => "gerade in Benutzung",
        Kind::CrossesDevices => "liegt auf einem anderen Datenträger",
        Kind::StaleNetworkFileHandle => "die Netzwerkfreigabe ist nicht mehr dieselbe",
        Kind::AddrInUse => "dort lauscht schon ein anderes Programm",
        Kind::AddrNotAvailable => "diese Adresse gehört nicht zu dieser Maschine",
        Kind::ConnectionRefused => "dort nimmt niemand Verbindungen an",
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::NotConnected => {
            "die Verbindung ist abgebrochen"
        }
        Kind::BrokenPipe => "die Gegenseite liest nicht mehr",
        Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => {
            "über das Netz nicht zu erreichen"
        }
        Kind::TimedOut => "keine Antwort in der vorgesehenen Zeit",
        Kind::UnexpectedEof => "die Daten enden zu früh",
        Kind::InvalidData => "die Daten sind nicht verständlich",
        Kind::OutOfMemory => "der Arbeitsspeicher reicht nicht",
        Kind::Unsupported => "das geht hier nicht",
        _ => return None,
    })
}

/// Words of ours with a foreign text behind them.
fn technical(ours: &str, foreign: &str) -> String {
    format!("{ours} (technisch: {foreign})")
}

/// What is wrong with a JSON text, with the place.
pub fn json(error: &serde_json::Error) -> String {
    match (error.line(), error.column()) {
        // A value that was JSON already has no place.
        (0, _) => json_fault(error),
        (line, column) => format!("Zeile {line}, Zeichen {column}: {}", json_fault(error)),
    }
}

/// What is wrong with one line of JSON, with the place in it.
pub fn json_line(error: &serde_json::Error) -> String {
    format!("Zeichen {}: {}", error.column(), json_fault(error))
}

fn json_fault(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    let text = error.to_string();
    let said = text.rsplit_once(" at line ").map_or(text.as_str(), |(said, _)| said);
    match error.classify() {
        Category::Syntax => technical("kein gültiges JSON", said),
        Category::Eof => "das JSON endet zu früh".to_owned(),
        Category::Data => value(said),
        Category::Io => error
            .io_error_kind()
            .and_then(by_kind)
            .map_or_else(|| technical("beim Lesen misslungen", said), str::to_owned),
    }
}

/// What is wrong with a TOML text, with the place.
pub fn toml(said: &str) -> String {
    let number = |before: &str| {
        let rest = &said[said.find(before)? + before.len()..];
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
    };
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    match (number(" at line "), number(", column ")) {
        (Some(line), Some(column)) => {
            format!("Zeile {line}, Zeichen {column}: {}", technical("kein gültiges TOML", last))
        }
        _ => technical("kein gültiges TOML", last),
    }
}

/// What is wrong with a value, from the sentences that `serde` and the numbers of the standard library make.
pub fn value(said: &str) -> String {
    let said = said.trim().trim_end_matches('.');
    known(said).unwrap_or_else(|| {
        // Types of our own complain in German.
        let is_ours = said.contains(['„', 'ä', 'ö', 'ü', 'ß', 'Ä', 'Ö', 'Ü']);
        if is_ours { said.to_owned() } else { technical("die Angabe ist nicht verständlich", said) }
    })
}

/// The German of a sentence that `serde` or a number of the standard library makes; `None` for any other.
pub fn known(said: &str) -> Option<String> {
    let list = |names: &str| {
        let names: Vec<&str> = names.split('`').skip(1).step_by(2).collect();
        names.join(", ")
    };
    if let Some((found, wanted)) = said
        .strip_prefix("invalid type: ")
        .or_else(|| said.strip_prefix("invalid value: "))
        .and_then(|rest| rest.split_once(", expected "))
    {
        return Some(mismatch(found, wanted));
    }
    if let Some((name, known)) = said.strip_prefix("unknown field ").and_then(|rest| rest.split_once(", ")) {
        let known = list(known);
        let known = if known.is_empty() { known } else { format!(" (möglich: {known})") };
        return Some(format!("das Feld „{}“ gibt es nicht{known}", list(name)));
    }
    if let Some((name, known)) = said.strip_prefix("unknown variant ").and_then(|rest| rest.split_once(", "))
    {
        return Some(format!("„{}“ ist hier nicht bekannt (möglich: {})", list(name), list(known)));
    }
    if let Some(name) = said.strip_prefix("missing field ") {
        return Some(format!("das Feld „{}“ fehlt", list(name)));
    }
    if let Some(name) = said.strip_prefix("duplicate field ") {
        return Some(format!("das Feld „{}“ steht zweimal da", list(name)));
    }
    let known = match said {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            "erwartet wird eine ganze Zahl"
        }
        "number too large to fit in target type" => "die Zahl ist zu groß",
        "number too small to fit in target type" => "die Zahl ist zu klein",
        "provided string was not `true` or `false`" => "erwartet wird true oder false",
        "invalid socket address syntax" => "erwartet werden Adresse und Port wie 127.0.0.1:8437",
        _ => return None,
    };
    Some(known.to_owned())
}

/// What stands there and what should.
pub fn mismatch(found: &str, wanted: &str) -> String {
    format!("hier steht {}; erwartet wird {}", thing(found), expectation(wanted))
}

fn thing(found: &str) -> String {
    let inner = |open: char, close: char| {
        let start = found.find(open)? + 1;
        found.get(start..found.rfind(close)?).filter(|text| !text.is_empty())
    };
    match found.split([' ', '(']).next().unwrap_or_default() {
        "string" => format!("der Text „{}“", inner('"', '"').unwrap_or_default()),
        "integer" | "floating" | "unsigned" | "signed" | "float" => {
            format!("die Zahl {}", inner('`', '`').unwrap_or(found))
        }
        "boolean" => inner('`', '`').unwrap_or(found).to_owned(),
        "bool" => found.trim_start_matches("bool ").to_owned(),
        "null" | "unit" => "nichts (null)".to_owned(),
        "sequence" => "eine Liste".to_owned(),
        "map" => "ein Objekt".to_owned(),
        _ => found.to_owned(),
    }
}

fn expectation(wanted: &str) -> String {
    match wanted {
        "a string" | "a borrowed string" | "string" | "str" => "ein Text",
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => "eine ganze Zahl ab 0",
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "eine ganze Zahl",
        "f32" | "f64" => "eine Zahl",
        "a boolean" => "true oder false",
        "a sequence" => "eine Liste",
        "a map" => "ein Objekt",
        "socket address" => "Adresse und Port wie 127.0.0.1:8437",
        other if other.starts_with("struct ") => "ein Objekt",
        other => other,
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use figment::Provider as _;
    use figment::providers::{Format as _, Toml};
    use serde::Deserialize;

    #[test]
    fn refusals_of_the_operating_system_are_german() {
        for (number, text) in [
            (2, "nicht vorhanden"),
            (13, "keine Berechtigung"),
            (5, "Ein-/Ausgabefehler des Datenträgers"),
            (21, "ist ein Ordner"),
            (24, "zu viele Dateien sind offen"),
            (28, "der Datenträger ist voll"),
            (30, "der Datenträger ist schreibgeschützt"),
            (36, "der Name ist zu lang oder nicht erlaubt"),
            (40, "die Verweise führen im Kreis"),
            (98, "dort lauscht schon ein anderes Programm"),
            (111, "dort nimmt niemand Verbindungen an"),
        ] {
            assert_eq!(os(&io::Error::from_raw_os_error(number)), text);
        }
        let unknown = os(&io::Error::from_raw_os_error(71));
        assert!(unknown.starts_with("das Betriebssystem verweigert es (technisch: "), "{unknown}");
        assert_eq!(os(&io::Error::other("kein freier Name")), "kein freier Name");
        let both = io::Error::new(io::ErrorKind::Unsupported, "nur zum Lesen geöffnet");
        assert_eq!(os(&both), "das geht hier nicht (nur zum Lesen geöffnet)");
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Row {
        name: String,
        #[serde(default)]
        count: u32,
        #[serde(default)]
        list: Vec<bool>,
    }

    #[test]
    fn what_is_wrong_with_json_is_german_and_has_its_place() {
        for (text, told) in [
            ("{\"name\":5}", "Zeile 1, Zeichen 9: hier steht die Zahl 5; erwartet wird ein Text"),
            (
                "{\"name\":\"a\",\n\"count\":\"x\"}",
                "Zeile 2, Zeichen 11: hier steht der Text „x“; erwartet wird eine ganze Zahl ab 0",
            ),
            ("{\"count\":1}", "Zeile 1, Zeichen 11: das Feld „name“ fehlt"),
            ("{\"nam\":1}", "Zeile 1, Zeichen 6: das Feld „nam“ gibt es nicht (möglich: name, count, list)"),
            (
                "{\"name\":\"a\",\"list\":{}}",
                "Zeile 1, Zeichen 19: hier steht ein Objekt; erwartet wird eine Liste",
            ),
            ("{\"name\":", "Zeile 1, Zeichen 8: das JSON endet zu früh"),
            ("{name:1}", "Zeile 1, Zeichen 2: kein gültiges JSON (technisch: key must be a string)"),
            ("{\"name\":\"a\",\"name\":\"b\"}", "Zeile 1, Zeichen 18: das Feld „name“ steht zweimal da"),
        ] {
            assert_eq!(json(&serde_json::from_str::<Row>(text).unwrap_err()), told, "{text}");
        }
        let error = serde_json::from_str::<Row>("[").unwrap_err();
        assert_eq!(json_line(&error), format!("Zeichen 1: {}", json_fault(&error)));
    }

    #[test]
    fn other_parsers_are_german_too() {
        let error = Toml::string("[server\nx = 1").data().unwrap_err();
        let told = toml(&error.kind.to_string());
        assert!(told.starts_with("Zeile 1, Zeichen 8: kein gültiges TOML (technisch: "), "{told}");
        assert!(!told.contains('\n'));
        let number = "x".parse::<u32>().unwrap_err().to_string();
        assert_eq!(value(&number), "erwartet wird eine ganze Zahl");
        assert_eq!(value("„bald“ ist keine Dauer."), "„bald“ ist keine Dauer");
        assert_eq!(value("odd"), "die Angabe ist nicht verständlich (technisch: odd)");
    }
}
