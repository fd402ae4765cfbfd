//! Commands: parse, call the façade, present. German for people, one JSON object a line for programs.

mod args;
mod backup;
mod check;
mod config;
mod context;
mod create;
mod demo;
mod doctor;
mod document;
mod failure;
mod german;
mod history;
mod ingest;
mod logging;
mod out;
mod progress;
mod remote;
mod rows;
mod search;
mod serve;
mod show;
mod stop;

use crate::config::Flags;
use args::{Cli, Command};
use clap::FromArgMatches as _;
use context::Context;
use failure::{Exit, Failure};
use out::Out;
use std::process::ExitCode;

/// How Tesseract is installed.
const INSTALL_OCR: &str = "apt install tesseract-ocr tesseract-ocr-deu";

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let parsed = german::command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return german::tell(&error),
    };
    let mut out = Out::new(cli.common.json);
    let result = run(cli, &mut out);
    let written = out.finish();
    match result.and_then(|exit| written.map(|()| exit)) {
        Ok(exit) => exit.code(),
        Err(failure) => {
            failure.tell();
            failure.exit.code()
        }
    }
}

fn run(cli: Cli, out: &mut Out) -> Result<Exit, Failure> {
    let Cli { common, command } = cli;
    let mut flags = Flags::default();
    let mut usual_level = "warn";
    match &command {
        Command::Serve(args) => {
            flags.set("server.listen", args.listen);
            usual_level = "info";
        }
        Command::Demo(args) => flags.set("server.listen", args.listen),
        _ => {}
    }
    let mut context = Context::new(common, flags)?;
    logging::start(&context.loaded.config.log, usual_level)?;
    match command {
        Command::Create(args) => create::run(&context, &args, out),
        Command::Demo(args) => demo::run(&mut context, &args, out),
        Command::Serve(_) => serve::run(&context, out),
        Command::Ingest(args) => ingest::run(&context, &args, out),
        Command::File(args) => document::file(&context, &args, out),
        Command::AddVersion(args) => document::add_version(&context, &args, out),
        Command::Search(args) => search::run(&context, &args, out),
        Command::Show(args) => show::run(&context, &args, out),
        Command::Verify(args) => check::verify(&context, &args, out),
        Command::Rebuild => check::rebuild(&context, out),
        Command::Backup(args) => backup::backup(&context, &args, out),
        Command::Restore(args) => backup::restore(&context, &args, out),
        Command::Doctor => doctor::run(&context, out),
        Command::Config(args) => config::run(args.action, &context, out),
    }
}
