//! Progress on stderr, when a person watches.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt;
use std::io::IsTerminal as _;
use std::time::Duration;

/// Bars one below the other.
pub(super) struct Bars(MultiProgress);

impl Bars {
    pub(super) fn new() -> Self {
        let target = if is_seen() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self(MultiProgress::with_draw_target(target))
    }

    /// A bar for things that are counted, with rate and time left when their number is known.
    pub(super) fn counting(&self, what: &'static str, total: Option<u64>) -> ProgressBar {
        let bar = self.0.add(ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden()));
        set_total(&bar, total);
        bar.set_prefix(what);
        if is_seen() {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        bar
    }

    /// Writes lines without the bars in between.
    pub(super) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }

    /// Takes the bars away.
    pub(super) fn clear(&self) {
        // Only the look of the terminal is at stake.
        let _ = self.0.clear();
    }
}

/// Says how many there will be.
pub(super) fn set_total(bar: &ProgressBar, total: Option<u64>) {
    let template = match total {
        Some(_) => "{prefix:14} {bar:30} {human_pos}/{human_len}  {rate}  noch {eta}  {msg}",
        None => "{prefix:14} {spinner} {human_pos}  {rate}  {msg}",
    };
    let style = ProgressStyle::with_template(template).expect("a fixed template");
    bar.set_style(style.with_key("rate", rate).progress_chars("━━─"));
    if let Some(total) = total {
        bar.set_length(total);
    }
}

/// How many a second, or a minute when they are few.
fn rate(state: &ProgressState, text: &mut dyn fmt::Write) {
    let each_second = state.per_sec();
    let _ = if each_second >= 10.0 {
        write!(text, "{each_second:.0} je Sekunde")
    } else {
        write!(text, "{:.0} je Minute", each_second * 60.0)
    };
}

/// Whether a bar would be seen.
pub(super) fn is_seen() -> bool {
    std::io::stderr().is_terminal()
}
