//! The thinnest path: a file comes in and is found in the catalogue.

use crate::damage::{close, open};
use crate::support::{TestArchive, tenant};
use eakte::domain::codes::Origin;
use eakte::domain::document::Arrival;
use eakte::ingest::{Declared, Outcome};

#[test]
fn a_received_file_is_a_document() {
    let town = TestArchive::new(false);
    let arrival = Arrival::named("Brief.txt", Origin::Upload);
    let outcome = town
        .archive
        .receive(
            &town.permit,
            &arrival,
            None,
            &mut &b"Sehr geehrte Damen und Herren"[..],
            &Declared::default(),
        )
        .unwrap();
    let Outcome::Received(accepted) = outcome else { panic!("{outcome:?}") };
    let state = town.archive.document(&town.permit, accepted.document).unwrap();
    assert_eq!(state.row.received.title, "Brief");
}

#[test]
fn debugging_an_archive_tells_nothing_of_its_records() {
    let town = TestArchive::new(false);
    let arrival = Arrival::named("Wohngeld Erika Beispiel.txt", Origin::Upload);
    let mut body = &b"Antrag auf Wohngeld"[..];
    town.archive.receive(&town.permit, &arrival, None, &mut body, &Declared::default()).unwrap();
    let shown = format!("{:?} {:?} {:#?}", town.archive, town.archive.catalogue(), town.installation);
    for word in ["Erika", "Beispiel", "Wohngeld", "Steverau", &town.token] {
        assert!(!shown.contains(word), "{word}: {shown}");
    }
    // A row that is printed as numbers would be a row all the same.
    let bytes = format!("{:?}", "Erika".as_bytes());
    assert!(!shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
    assert!(shown.len() < 5_000, "{shown}");
}

#[test]
fn the_newest_arrival_is_the_one_recorded_last() {
    let town = TestArchive::new(false);
    assert_eq!(town.archive.newest_arrival(&town.permit).unwrap(), None);
    let token = town.token.clone();
    let receive = |archive: &eakte::archive::Archive, text: &str| {
        let arrival = Arrival::named("Brief.txt", Origin::Upload);
        let permit = archive.permit(&token).unwrap();
        archive.receive(&permit, &arrival, None, &mut text.as_bytes(), &Declared::default()).unwrap();
        archive.newest_arrival(&permit).unwrap().unwrap().to_string()
    };
    assert_eq!(receive(&town.archive, "eins"), "2026-03-02T08:00:00Z");
    // Opened again with a clock that shows a later day.
    let closed = close(town);
    let installation = open(&closed.folder);
    assert_eq!(receive(&installation.archive(&tenant()).unwrap(), "zwei"), "2026-03-20T08:00:00Z");
}
