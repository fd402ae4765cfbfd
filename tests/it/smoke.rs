//! The thinnest path: a file comes in and is found in the catalogue.

use crate::support::TestArchive;
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
