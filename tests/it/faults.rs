//! Every call to the store fails once, in every way; then everything is opened again and done again: nothing that
//! was acknowledged is lost, nothing is there twice, every batch balances.

use crate::support::chance::from_env;
use crate::support::faulty::{Failure, Faulty};
use crate::support::town::{Folder, Town};
use eakte::store::Memory;
use std::sync::Arc;

/// A town in memory whose store can be made to fail.
fn town() -> (Arc<Faulty>, Town) {
    let faulty = Faulty::over(Arc::new(Memory::new()));
    let town = Town::new(faulty.clone());
    (faulty, town)
}

/// Opens, works, and notes what was acknowledged; then once more without faults, and looks at everything.
fn fails_at(call: usize, failure: Failure) -> Option<&'static str> {
    let (faulty, town) = town();
    faulty.fail(call, failure);
    let first = town.open().map(|archive| town.work(&archive));
    let failed = faulty.failed();
    faulty.heal();
    let archive = town.open().unwrap_or_else(|error| panic!("call {call} {failure:?} {failed:?}: {error}"));
    let again = town.work(&archive);
    let context = format!("call {call} ({failed:?}) {failure:?}");
    assert!(again.failures.is_empty(), "{context}: the repetition failed: {:?}", again.failures);
    if let Ok(first) = &first {
        for accepted in &first.accepted {
            let held = again.accepted.iter().any(|held| held == accepted);
            assert!(held, "{context}: {accepted:?} was acknowledged and is not known: {:?}", again.accepted);
        }
    }
    town.check(&archive, &context);
    failed
}

#[test]
fn any_single_fault_of_the_store_loses_nothing_and_doubles_nothing() {
    // How many calls a run without faults makes.
    let (faulty, town) = town();
    faulty.heal();
    let archive = town.open().unwrap();
    assert!(town.work(&archive).failures.is_empty());
    town.check(&archive, "without faults");
    let calls = faulty.calls();
    println!("faults: {} calls", calls.len());
    let stride = from_env("EAKTE_FAULT_STRIDE").and_then(|stride| usize::try_from(stride).ok()).unwrap_or(1);
    let mut hit = 0;
    for call in (0..calls.len()).step_by(stride) {
        let is_write = !matches!(calls[call], "read" | "open" | "open_range" | "size" | "list" | "stage");
        for failure in Failure::ALL {
            // A read that fails in another way fails in the same way.
            if is_write || failure == Failure::Refused {
                hit += usize::from(fails_at(call, failure).is_some());
            }
        }
    }
    assert!(hit * stride > calls.len(), "only {hit} faults were met");
}

#[test]
fn a_full_store_refuses_with_a_sentence_and_goes_on_when_there_is_room() {
    let (faulty, town) = town();
    let archive = town.open().unwrap();
    faulty.fail_from(0, Failure::Full);
    let work = town.work(&archive);
    assert!(work.accepted.is_empty(), "{:?}", work.accepted);
    assert!(!work.failures.is_empty());
    for failure in &work.failures {
        assert!(failure.contains("der Datenträger ist voll"), "{failure}");
    }
    faulty.heal();
    // The same process goes on: nothing was in doubt.
    let work = town.work(&archive);
    assert_eq!(work.failures, Vec::<String>::new());
    town.check(&archive, "after a full disk");
}

#[test]
fn an_interrupted_making_of_a_tenant_can_be_repeated() {
    for call in 0.. {
        let mut failed = None;
        for failure in Failure::ALL {
            let faulty = Faulty::over(Arc::new(Memory::new()));
            let place = Folder::new();
            faulty.fail(call, failure);
            let first = place.create(&faulty);
            failed = faulty.failed();
            faulty.heal();
            let token = match first {
                Ok(token) => token,
                Err(_) => place.create(&faulty).unwrap_or_else(|error| {
                    // It may be there already, whole.
                    let known = place.local_token();
                    known.unwrap_or_else(|_| panic!("call {call} ({failed:?}) {failure:?}: {error}"))
                }),
            };
            place.check_token(&faulty, &token);
        }
        if failed.is_none() {
            assert!(call > 5, "only {call} calls were met");
            break;
        }
    }
}
