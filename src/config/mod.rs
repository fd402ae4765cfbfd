//! Configuration: defaults < TOML file < `EAKTE_…` environment < flags. A key that nobody knows is an error.

mod keys;
mod show;
mod values;

pub use show::{Shown, example, shown};
pub use values::{Lasting, Size};

use crate::archive;
use crate::store::{BucketConfig, Secret, StoreLocation};
use crate::wording;
use figment::providers::{Env, Format as _, Serialized, Toml};
use figment::value::magic::RelativePathBuf;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file that is read when nobody names one, in the data directory.
pub const FILE_NAME: &str = "eakte.toml";

/// Before the names of environment variables that set a key, such as `EAKTE_SERVER__LISTEN`.
pub const ENV_PREFIX: &str = "EAKTE_";

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that was named is not there or not readable.
    #[error("Die Konfigurationsdatei {} ist nicht lesbar ({reason}).", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        reason: String,
    },
    /// A key that nobody knows.
    #[error(
        "{origin}: Den Schlüssel „{key}“ gibt es nicht. Der ähnlichste ist „{nearest}“; alle zeigt „eakte config example“."
    )]
    UnknownKey {
        /// Where it stands.
        origin: String,
        /// The key.
        key: String,
        /// The known key that looks most like it.
        nearest: String,
    },
    /// A value that makes no sense, or a file that is no TOML.
    #[error("{origin}: {detail}")]
    Value {
        /// Where it stands.
        origin: String,
        /// What is wrong.
        detail: String,
    },
}

/// The object store.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// `s3://bucket/prefix`, or a directory; none means `store` in the data directory.
    pub url: Option<String>,
    /// Address of the server that holds the bucket.
    pub endpoint: Option<String>,
    /// Region.
    pub region: Option<String>,
    /// Name of the key pair.
    pub access_key_id: Option<String>,
    /// A file that holds it.
    pub access_key_id_file: Option<RelativePathBuf>,
    /// Secret of the key pair.
    pub secret_access_key: Option<SecretText>,
    /// A file that holds it.
    pub secret_access_key_file: Option<RelativePathBuf>,
    /// Whether `http://` is accepted.
    pub allow_http: bool,
    /// Folder for incoming bytes.
    pub spool_dir: Option<RelativePathBuf>,
    /// How long the server may keep silent.
    pub silence: Option<Lasting>,
    /// For how long requests are repeated.
    pub patience: Option<Lasting>,
}

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretText(String);

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// The server.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Where it listens.
    pub listen: SocketAddr,
    /// How long running requests may take to end at shutdown.
    pub shutdown_grace: Lasting,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8437)),
            shutdown_grace: Lasting(Duration::from_secs(30)),
        }
    }
}

/// Limits.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest file.
    pub max_file_bytes: Size,
    /// Memory for each tenant's catalogue.
    pub catalogue_cache_bytes: Size,
    /// Files read at once by a run.
    pub ingest_threads: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let defaults = archive::Settings::default();
        Self {
            max_file_bytes: Size(defaults.max_file_bytes),
            catalogue_cache_bytes: Size(defaults.catalogue_cache_bytes),
            ingest_threads: defaults.ingest_threads,
        }
    }
}

/// Reading documents.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Digitise {
    /// Documents read at once.
    pub threads: usize,
    /// Processor time for one document.
    pub cpu: Lasting,
    /// Wall clock for one document.
    pub wall: Lasting,
    /// Memory for one document.
    pub memory_bytes: Size,
    /// Whether the kernel keeps workers to their folders.
    pub isolate: bool,
    /// Where Tesseract is; none means that it is looked for.
    pub tesseract: Option<RelativePathBuf>,
    /// Languages for character recognition.
    pub languages: String,
}

impl Default for Digitise {
    fn default() -> Self {
        let defaults = archive::Settings::default();
        Self {
            threads: defaults.digitise_threads,
            cpu: Lasting(defaults.digitise_cpu),
            wall: Lasting(defaults.digitise_wall),
            memory_bytes: Size(defaults.digitise_memory_bytes),
            isolate: defaults.digitise_isolate,
            tesseract: None,
            languages: defaults.ocr_languages,
        }
    }
}

/// Eingangsordner: a folder whose files are taken in while the server runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HotFolder {
    /// Whose; may be left out when there is exactly one tenant.
    #[serde(default)]
    pub tenant: Option<String>,
    /// The folder.
    pub path: RelativePathBuf,
    /// Path template: which case file a path below the folder means.
    #[serde(default)]
    pub template: Option<String>,
    /// Whether case files that the template names and that do not exist are opened.
    #[serde(default)]
    pub create_case_files: bool,
    /// For how long a file must not have changed.
    #[serde(default = "stable_for")]
    pub stable_for: Lasting,
    /// How often the folder is looked at.
    #[serde(default = "poll_every")]
    pub poll_every: Lasting,
}

fn stable_for() -> Lasting {
    Lasting(Duration::from_secs(5))
}

fn poll_every() -> Lasting {
    Lasting(Duration::from_secs(2))
}

/// What is logged, and how.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// From which level on; none means `info` for the server and `warn` for other commands.
    pub level: Option<LogLevel>,
    /// Text or JSON.
    pub format: LogFormat,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Faults.
    Error,
    /// And what needs attention.
    Warn,
    /// And what happens.
    Info,
    /// And details.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The word for filters.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// In which form log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Everything that can be configured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The object store.
    pub store: Store,
    /// The server.
    pub server: Server,
    /// Limits.
    pub limits: Limits,
    /// Reading documents.
    pub digitise: Digitise,
    /// Folders that are watched.
    pub hot_folders: Vec<HotFolder>,
    /// Logging.
    pub log: Log,
}

/// A configuration with the origin of each value.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// Where they came from.
    layers: Figment,
    /// The file that was read, if any.
    pub file: Option<PathBuf>,
}

/// Values given on the command line: dotted keys with their values.
#[derive(Clone, Debug, Default)]
pub struct Flags(Vec<(&'static str, String)>);

impl Flags {
    /// Sets a key, if a value is given.
    pub fn set(&mut self, key: &'static str, value: Option<impl ToString>) {
        self.0.extend(value.map(|value| (key, value.to_string())));
    }
}

impl Provider for Flags {
    fn metadata(&self) -> Metadata {
        Metadata::named("Kommandozeile")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut dict = Dict::new();
        for (key, value) in &self.0 {
            if let Some((section, name)) = key.split_once('.') {
                let section = dict.entry(section.to_owned()).or_insert_with(|| Value::from(Dict::new()));
                if let Value::Dict(_, section) = section {
                    section.insert(name.to_owned(), Value::from(value.clone()));
                }
            }
        }
        Ok(Map::from([(Profile::Default, dict)]))
    }
}

impl Loaded {
    /// Reads the configuration. `file` must exist if it is named; otherwise the data directory's file counts if it
    /// is there.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(file: Option<&Path>, data: Option<&Path>, flags: Flags) -> Result<Self, ConfigError> {
        Self::read_with(
            file,
            data,
            flags,
            std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()),
        )
    }

    fn read_with(
        file: Option<&Path>,
        data: Option<&Path>,
        flags: Flags,
        variables: impl Iterator<Item = String>,
    ) -> Result<Self, ConfigError> {
        keys::check_variables(variables)?;
        let standard = data.map(|data| data.join(FILE_NAME)).filter(|path| path.exists());
        let file = file.map(Path::to_owned).or(standard);
        let mut layers = Figment::from(Serialized::defaults(Config::default()));
        if let Some(path) = &file {
            fs::File::open(path).and_then(|mut opened| opened.read(&mut [0; 1])).map_err(|error| {
                ConfigError::Unreadable { path: path.clone(), reason: wording::os(&error) }
            })?;
            let layer = Toml::file_exact(path);
            keys::check_layer(&path.display().to_string(), &layer)?;
            layers = layers.merge(layer);
        }
        let env = Env::prefixed(ENV_PREFIX).filter(|name| name.as_str().contains("__")).split("__");
        keys::check_layer("Umgebung", &env)?;
        let layers = layers.merge(env).merge(flags);
        let config: Config = layers.extract_lossy().map_err(|error| value_error(&error))?;
        Ok(Self { config, layers, file })
    }
}

/// A library's complaint about a value, with the place of the value.
fn value_error(error: &figment::Error) -> ConfigError {
    use figment::error::Kind;
    let origin = error.metadata.as_ref().map_or_else(|| "Konfiguration".to_owned(), show::origin);
    let key = error.path.join(".");
    let detail = match &error.kind {
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            format!("„{key}“: {}.", wording::mismatch(&found.to_string(), expected))
        }
        Kind::UnknownVariant(found, known) => {
            format!("Der Wert „{found}“ von „{key}“ ist unbekannt (möglich: {}).", known.join(", "))
        }
        Kind::MissingField(field) if key.is_empty() => format!("Der Schlüssel „{field}“ fehlt."),
        Kind::MissingField(field) => format!("In „{key}“ fehlt der Schlüssel „{field}“."),
        Kind::Message(text) if key.is_empty() => format!("{}.", wording::value(text)),
        Kind::Message(text) => format!("„{key}“: {}.", wording::value(text)),
        other => format!("„{key}“: {}.", wording::value(&other.to_string())),
    };
    ConfigError::Value { origin, detail }
}

impl Config {
    /// Settings of the archive.
    pub fn settings(&self) -> archive::Settings {
        archive::Settings {
            max_file_bytes: self.limits.max_file_bytes.0,
            catalogue_cache_bytes: self.limits.catalogue_cache_bytes.0,
            ingest_threads: self.limits.ingest_threads.max(1),
            digitise_threads: self.digitise.threads.max(1),
            digitise_cpu: self.digitise.cpu.0,
            digitise_wall: self.digitise.wall.0,
            digitise_memory_bytes: self.digitise.memory_bytes.0,
            digitise_isolate: self.digitise.isolate,
            tesseract: self.digitise.tesseract.as_ref().map(RelativePathBuf::relative),
            ocr_languages: self.digitise.languages.clone(),
            worker: None,
            background: true,
        }
    }

    /// How a bucket is reached, with the secrets read from their files.
    ///
    /// # Errors
    /// When a file with a secret is not readable.
    pub fn bucket(&self, data: Option<&Path>) -> Result<BucketConfig, ConfigError> {
        let store = &self.store;
        let defaults = BucketConfig::default();
        let id = secret(store.access_key_id.as_deref(), store.access_key_id_file.as_ref())?;
        let hidden = store.secret_access_key.as_ref().map(|secret| secret.0.as_str());
        let secret = secret(hidden, store.secret_access_key_file.as_ref())?;
        let spool = store.spool_dir.as_ref().map(RelativePathBuf::relative);
        Ok(BucketConfig {
            endpoint: store.endpoint.clone(),
            region: store.region.clone().unwrap_or(defaults.region),
            access_key_id: id.unwrap_or_default(),
            secret_access_key: Secret::new(secret.unwrap_or_default()),
            allow_http: store.allow_http,
            spool_dir: spool.or_else(|| data.map(|data| data.join("spool"))).unwrap_or(defaults.spool_dir),
            silence: store.silence.map_or(defaults.silence, |lasting| lasting.0),
            patience: store.patience.map_or(defaults.patience, |lasting| lasting.0),
        })
    }

    /// Where the installation lies.
    ///
    /// # Errors
    /// When the store's address makes no sense or a file with a secret is not readable.
    pub fn place(&self, data: &Path) -> Result<archive::Place, ConfigError> {
        let store = match &self.store.url {
            None => StoreLocation::Directory(data.join("store")),
            Some(url) => url.parse().map_err(|error: crate::store::StoreError| ConfigError::Value {
                origin: "store.url".to_owned(),
                detail: error.to_string(),
            })?,
        };
        Ok(archive::Place { data: data.to_owned(), store, bucket: self.bucket(Some(data))? })
    }
}

/// A value given directly, or the content of a file.
fn secret(direct: Option<&str>, file: Option<&RelativePathBuf>) -> Result<Option<String>, ConfigError> {
    let Some(path) = file.filter(|_| direct.is_none()).map(RelativePathBuf::relative) else {
        return Ok(direct.map(str::to_owned));
    };
    let mut text = String::new();
    fs::File::open(&path)
        .and_then(|opened| opened.take(64 * 1024).read_to_string(&mut text))
        .map_err(|error| ConfigError::Unreadable { path, reason: wording::os(&error) })?;
    Ok(Some(text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn read(toml: &str) -> Result<Loaded, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.toml");
        fs::File::create(&path).unwrap().write_all(toml.as_bytes()).unwrap();
        Loaded::read_with(Some(&path), None, Flags::default(), std::iter::empty())
    }

    #[test]
    fn values_come_from_the_file_and_flags_beat_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let toml = "[server]\nlisten = \"127.0.0.1:9\"\n[limits]\nmax_file_bytes = \"2 GiB\"\n\
                    [digitise]\ncpu = \"90 s\"\n[[hot_folders]]\npath = \"eingang\"\n";
        fs::File::create(&path).unwrap().write_all(toml.as_bytes()).unwrap();
        let mut flags = Flags::default();
        flags.set("server.listen", Some("127.0.0.1:10"));
        let loaded = Loaded::read_with(None, Some(folder.path()), flags, std::iter::empty()).unwrap();
        assert_eq!(loaded.file, Some(path));
        assert_eq!(loaded.config.server.listen.port(), 10);
        let settings = loaded.config.settings();
        assert_eq!(settings.max_file_bytes, 2 << 30);
        assert_eq!(settings.digitise_cpu, Duration::from_secs(90));
        assert_eq!(loaded.config.hot_folders[0].path.relative(), folder.path().join("eingang"));
        let lines = shown(&loaded);
        let listen = lines.iter().find(|line| line.key == "server.listen").unwrap();
        assert_eq!((listen.value.as_str(), listen.origin.as_str()), ("127.0.0.1:10", "Kommandozeile"));
        let shown = |key: &str| lines.iter().find(|line| line.key == key).unwrap().value.clone();
        assert_eq!(shown("store.region"), BucketConfig::default().region);
        assert_eq!(shown("store.access_key_id"), "(nicht gesetzt)");
        assert_eq!(shown("limits.ingest_threads"), loaded.config.limits.ingest_threads.to_string());
        assert_eq!(shown("hot_folders[0].path"), "eingang");
        assert_eq!(shown("hot_folders[0].stable_for"), "5 s");
        let wall = lines.iter().find(|line| line.key == "digitise.wall").unwrap();
        assert_eq!(wall.origin, "Vorgabe");
    }

    #[test]
    fn an_unknown_key_is_named_with_its_nearest_neighbour() {
        for (toml, key, nearest) in [
            ("[server]\nlisen = \"x\"", "server.lisen", "server.listen"),
            ("[sever]\nlisten = \"x\"", "sever.listen", "server.listen"),
            ("max_file_bytes = 3", "max_file_bytes", "limits.max_file_bytes"),
            (
                "[[hot_folders]]\npath = \"a\"\nstabel_for = \"1s\"",
                "hot_folders.stabel_for",
                "hot_folders.stable_for",
            ),
        ] {
            match read(toml) {
                Err(ConfigError::UnknownKey { key: found, nearest: near, origin }) => {
                    assert_eq!((found.as_str(), near.as_str()), (key, nearest));
                    assert!(origin.ends_with("x.toml"), "{origin}");
                }
                other => panic!("{toml}: {other:?}"),
            }
        }
        let variables = ["EAKTE_SERVER_LISTEN".to_owned()].into_iter();
        let error = Loaded::read_with(None, None, Flags::default(), variables).unwrap_err();
        assert!(error.to_string().contains("EAKTE_SERVER__LISTEN"), "{error}");
        let harmless = ["EAKTE_TOKEN", "EAKTE_SEED", "EAKTE_DATA"].map(str::to_owned).into_iter();
        assert!(Loaded::read_with(None, None, Flags::default(), harmless).is_ok());
    }

    #[test]
    fn values_that_make_no_sense_are_named() {
        for (toml, part) in [
            ("[server]\nlisten = \"nirgends\"", "server.listen"),
            ("[limits]\nmax_file_bytes = \"viel\"", "limits.max_file_bytes"),
            ("[limits]\ningest_threads = -1", "limits.ingest_threads"),
            ("[digitise]\ncpu = \"bald\"", "digitise.cpu"),
            ("[log]\nlevel = \"laut\"", "error"),
            ("[[hot_folders]]\ntenant = \"t\"", "path"),
            ("[server", "x.toml"),
        ] {
            let error = read(toml).unwrap_err().to_string();
            assert!(error.contains(part), "{toml}: {error}");
        }
    }

    #[test]
    fn secrets_come_from_files_and_are_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        fs::File::create(folder.path().join("key")).unwrap().write_all(b"geheim\n").unwrap();
        let toml =
            "[store]\nurl = \"s3://akten\"\naccess_key_id = \"id\"\nsecret_access_key_file = \"key\"\n";
        fs::File::create(&path).unwrap().write_all(toml.as_bytes()).unwrap();
        let loaded = Loaded::read_with(Some(&path), None, Flags::default(), std::iter::empty()).unwrap();
        let bucket = loaded.config.bucket(None).unwrap();
        assert_eq!(bucket.secret_access_key.reveal(), "geheim");

        let direct = read("[store]\nsecret_access_key = \"geheim\"").unwrap();
        assert!(!format!("{:?}", direct.config).contains("geheim"));
        assert!(shown(&direct).iter().all(|line| !line.value.contains("geheim")));
    }

    #[test]
    fn the_example_is_a_valid_configuration_with_every_key() {
        let text = example();
        let loaded = read(&text).unwrap();
        assert_eq!(loaded.config.server.listen.port(), 8437);
        let uncommented: String = text
            .lines()
            .map(|line| line.strip_prefix("# ").unwrap_or(line))
            .filter(|line| !line.ends_with('.'))
            .collect::<Vec<_>>()
            .join("\n");
        read(&uncommented).unwrap();
    }
}
