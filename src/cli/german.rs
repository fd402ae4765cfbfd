//! Help and complaints of the command line in German.

use super::args::Cli;
use super::failure::Exit;
use crate::wording;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command, CommandFactory as _};
use std::io::Write as _;
use std::process::ExitCode;

const TEMPLATE: &str = "{about-with-newline}\nAufruf: {usage}\n\n{all-args}{after-help}";

const AFTER: &str = "Exit-Codes: 0 in Ordnung, 1 Befunde oder nur teilweise gelungen, 2 Aufruf falsch, 3 abgelehnt, 4 nicht verfügbar.\n\
                     Zum Ausprobieren: eakte demo";

/// Behind every option, wherever clap puts those that hold for all commands.
const LAST: usize = 10_000;

/// The command line with German headings.
pub(super) fn command() -> Command {
    localise(Cli::command()).after_help(AFTER).subcommand_required(true).arg_required_else_help(true)
}

fn localise(command: Command) -> Command {
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help).help("Diese Hilfe zeigen");
    let help = help.display_order(LAST);
    let mut command = command
        .help_template(TEMPLATE)
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .subcommand_help_heading("Befehle")
        .subcommand_value_name("BEFEHL")
        .mut_args(|arg| {
            let heading = if arg.is_positional() {
                "Angaben"
            } else if arg.is_global_set() {
                "Für alle Befehle"
            } else {
                "Optionen"
            };
            let takes_values = arg.get_action().takes_values();
            let arg = arg.help_heading(heading);
            if takes_values { arg.hide_default_value(true).hide_possible_values(true) } else { arg }
        })
        .arg(help.help_heading("Für alle Befehle"));
    if command.get_version().is_some() {
        let version = Arg::new("version")
            .short('V')
            .long("version")
            .action(ArgAction::Version)
            .help("Die Version zeigen")
            .display_order(LAST + 1);
        command = command.disable_version_flag(true).arg(version.help_heading("Für alle Befehle"));
    }
    command.mut_subcommands(localise)
}

/// Shows help, or says what is wrong with the command line.
pub(super) fn tell(error: &clap::Error) -> ExitCode {
    let shown = error.to_string().replace("[OPTIONS]", "[OPTIONEN]");
    let shown = format!("{}\n", shown.trim_end());
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = std::io::stdout().lock().write_all(shown.as_bytes());
            Exit::Done.code()
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = std::io::stderr().lock().write_all(shown.as_bytes());
            Exit::Usage.code()
        }
        kind => {
            let _ = writeln!(
                std::io::stderr().lock(),
                "eakte: {} Hilfe gibt es mit --help.",
                complaint(error, kind)
            );
            Exit::Usage.code()
        }
    }
}

fn complaint(error: &clap::Error, kind: ErrorKind) -> String {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    };
    let (arg, value) = (context(ContextKind::InvalidArg), context(ContextKind::InvalidValue));
    let similar = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue]
        .into_iter()
        .find_map(|kind| match error.get(kind)? {
            ContextValue::String(text) => Some(format!("„{text}“")),
            ContextValue::Strings(texts) if !texts.is_empty() => {
                Some(texts.iter().map(|text| format!("„{text}“")).collect::<Vec<_>>().join(" oder "))
            }
            _ => None,
        })
        .map(|names| format!(" Gemeint ist vielleicht {names}."))
        .unwrap_or_default();
    let reason = std::error::Error::source(error).map(reason).unwrap_or_default();
    match kind {
        ErrorKind::UnknownArgument => format!("„{arg}“ gibt es hier nicht.{similar}"),
        ErrorKind::InvalidSubcommand => {
            format!("Den Befehl „{}“ gibt es nicht.{similar}", context(ContextKind::InvalidSubcommand))
        }
        ErrorKind::MissingSubcommand => "Es fehlt ein Befehl.".to_owned(),
        ErrorKind::MissingRequiredArgument => format!("Es fehlt: {}.", arg.replace("...", "")),
        ErrorKind::InvalidValue if value.is_empty() => format!("„{arg}“ braucht einen Wert."),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation if reason.is_empty() => {
            format!("Der Wert „{value}“ für „{arg}“ geht nicht.{similar}")
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            format!("Der Wert „{value}“ für „{arg}“ geht nicht: {reason}.")
        }
        ErrorKind::ArgumentConflict => {
            let other = context(ContextKind::PriorArg);
            if other.is_empty() {
                format!("„{arg}“ steht zweimal oder passt nicht zu den übrigen Angaben.")
            } else {
                format!("„{arg}“ und „{other}“ gehen nicht zusammen.")
            }
        }
        ErrorKind::NoEquals => format!("„{arg}“ braucht die Form {arg}=WERT."),
        ErrorKind::TooManyValues | ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            format!("„{arg}“ hat die falsche Zahl von Werten.")
        }
        ErrorKind::InvalidUtf8 => "Eine Angabe ist kein gültiges UTF-8.".to_owned(),
        _ => "Der Aufruf ist nicht verständlich.".to_owned(),
    }
}

/// Why a value was refused: our own types say it in German, the others are put into words here.
fn reason(cause: &(dyn std::error::Error + 'static)) -> String {
    let said = cause.to_string();
    if cause.is::<jiff::Error>() {
        return "erwartet wird ein Zeitpunkt wie 2026-03-02T08:30:00+01:00".to_owned();
    }
    // The command line's own check of a range has no type that could be asked.
    let range = said.split_once(" is not in ").and_then(|(_, range)| range.split_once("..="));
    match range {
        Some((least, most)) => format!("erlaubt ist {least} bis {most}"),
        None => wording::known(&said).unwrap_or_else(|| said.trim_end_matches('.').to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_german() {
        command().debug_assert();
        let help = command().render_help().to_string();
        for word in ["Usage", "Options", "Commands", "Print"] {
            assert!(!help.contains(word), "{word}: {help}");
        }
        for (line, part) in [
            (&["eakte", "suche"][..], "Den Befehl „suche“ gibt es nicht."),
            (&["eakte", "search"], "Es fehlt: <SUCHE>."),
            (&["eakte", "doctor", "--jsn"], "Gemeint ist vielleicht „--json“."),
            (&["eakte", "serch"], "Gemeint ist vielleicht „serve“ oder „search“."),
            (&["eakte", "search", "--limit", "0", "x"], "geht nicht: erlaubt ist 1 bis 1000."),
            (&["eakte", "search", "--limit", "x", "x"], "geht nicht: erwartet wird eine ganze Zahl."),
            (&["eakte", "serve", "--listen", "hier"], "erwartet werden Adresse und Port wie 127.0.0.1:8437."),
            (
                &["eakte", "verify", "--since", "gestern"],
                "erwartet wird ein Zeitpunkt wie 2026-03-02T08:30:00+01:00.",
            ),
            (&["eakte", "verify", "--expect", "5:abc"], "64 Zeichen aus 0-9 und a-f."),
            (&["eakte", "ingest", "--template", "{x}", "a"], "kein Platzhalter"),
            (&["eakte", "serve", "--tenant", "Ä"], "geht nicht"),
        ] {
            let error = command().try_get_matches_from(line).unwrap_err();
            let told = complaint(&error, error.kind());
            assert!(told.contains(part) && !told.contains(".."), "{line:?}: {told}");
        }
    }
}
