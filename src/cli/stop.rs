//! Ctrl-C and SIGTERM: the first asks to end in order, the second ends at once.

use futures_util::future::{Either, select};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that is set when someone asks to stop.
pub(super) fn on_interrupt() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    let listening = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            loop {
                let number = match select(pin!(interrupt.recv()), pin!(terminate.recv())).await {
                    Either::Left(_) => 2,
                    Either::Right(_) => 15,
                };
                if flag.swap(true, Ordering::AcqRel) {
                    std::process::exit(128 + number);
                }
            }
        });
    });
    if let Err(error) = listening {
        tracing::warn!(%error, "signals end the program at once");
    }
    stop
}
