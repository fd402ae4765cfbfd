//! Takes away from a worker what reading a file does not need: its own limits, other files, the network.

use super::job::{Limits, Ocr};
use landlock::{
    ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError,
    RulesetStatus, Scope, path_beneath_rules,
};
use rustix::process::{Resource, Rlimit, setpriority_process, setrlimit};
use std::io;
use std::path::{Path, PathBuf};

/// Files and pipes that may be open at once.
const OPEN_FILES: u64 = 64;
/// What is asked of the kernel; an older one does what it can.
const ASKED: ABI = ABI::V6;

/// Where programs, their libraries and language data lie; nothing of anybody.
const READABLE: [&str; 16] = [
    "/usr",
    "/bin",
    "/lib",
    "/lib32",
    "/lib64",
    "/opt",
    "/snap",
    "/nix/store",
    "/gnu/store",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/sys/devices/system/cpu",
];
/// Variables that say where else libraries and language data lie.
const PLACES: [&str; 2] = ["LD_LIBRARY_PATH", "TESSDATA_PREFIX"];

/// How far reading steps back behind those who search and deliver, as `nice` counts.
const NICE: i32 = 10;

/// Sets the limits. Child processes inherit them.
pub(super) fn limit(limits: &Limits) -> io::Result<()> {
    // Refused where it stands lower already.
    let _ = setpriority_process(None, NICE);
    let set = |resource, soft, hard| {
        setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) }).map_err(io::Error::from)
    };
    set(Resource::Core, 0, 0)?;
    set(Resource::As, limits.memory_bytes, limits.memory_bytes)?;
    // The soft limit ends us with a signal that says why; the hard one is for those who ignore it.
    set(Resource::Cpu, limits.cpu_seconds, limits.cpu_seconds + 5)?;
    set(Resource::Fsize, limits.output_bytes, limits.output_bytes)?;
    set(Resource::Nofile, OPEN_FILES, OPEN_FILES)
}

/// From here on this thread and its descendants write in the job's folder only, read there and where programs lie,
/// and open no TCP connection. Says whether the kernel does that.
pub(super) fn isolate(folder: &Path, ocr: Option<&Ocr>) -> Result<bool, RulesetError> {
    let read = AccessFs::from_read(ASKED);
    let others: Vec<PathBuf> = PLACES
        .iter()
        .filter_map(std::env::var_os)
        .flat_map(|list| std::env::split_paths(&list).collect::<Vec<_>>())
        .filter(|place| place.is_absolute())
        .chain(ocr.and_then(|ocr| home(&ocr.program)))
        .collect();
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(ASKED))?
        .handle_access(AccessNet::from_all(ASKED))?
        .scope(Scope::from_all(ASKED))?
        .create()?
        .add_rules(path_beneath_rules(READABLE, read))?
        .add_rules(path_beneath_rules(others, read))?
        .add_rules(path_beneath_rules(["/dev/null"], AccessFs::ReadFile | AccessFs::WriteFile))?
        .add_rules(path_beneath_rules(["/dev/urandom"], AccessFs::ReadFile))?
        .add_rules(path_beneath_rules([folder], AccessFs::from_all(ASKED)))?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

/// The folder of a program, with its libraries beside it if it is a `bin`.
fn home(program: &Path) -> Option<PathBuf> {
    let folder = program.canonicalize().ok()?.parent()?.to_owned();
    let above = folder.parent().filter(|above| folder.ends_with("bin") && above.parent().is_some());
    Some(above.map_or(folder.clone(), Path::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_comes_with_what_lies_beside_it_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for (program, expected) in [("tess/bin/tesseract", "tess"), ("tools/tesseract", "tools")] {
            let path = root.join(program);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::File::create(&path).unwrap();
            assert_eq!(home(&path), Some(root.join(expected)));
        }
        assert_eq!(home(&root.join("nichts")), None);
    }
}
