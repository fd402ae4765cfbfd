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
