//! Where a bucket is and how to reach it.

use super::{Prefix, StoreError};
use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

/// `s3://bucket/prefix`: a bucket and a folder in it (the whole bucket without one).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketUrl {
    bucket: String,
    prefix: Prefix,
}

impl BucketUrl {
    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The folder in the bucket.
    pub fn prefix(&self) -> &Prefix {
        &self.prefix
    }
}

impl FromStr for BucketUrl {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let wrong =
            || StoreError::Configuration(format!("{text:?} ist keine Adresse der Form s3://bucket/praefix"));
        let rest = text.strip_prefix("s3://").ok_or_else(wrong)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_bucket = (3..=63).contains(&bucket.len())
            && bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
        let prefix = Prefix::new(prefix.strip_suffix('/').unwrap_or(prefix)).map_err(|_| wrong())?;
        if is_bucket { Ok(Self { bucket: bucket.to_owned(), prefix }) } else { Err(wrong()) }
    }
}

impl fmt::Display for BucketUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        if self.prefix == Prefix::ROOT { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one who has to send it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How to reach the server that holds a bucket.
#[derive(Clone, Debug)]
pub struct BucketConfig {
    /// The server's address such as `https://s3.example.org`; none means AWS.
    pub endpoint: Option<String>,
    /// The region; servers other than AWS mostly take any.
    pub region: String,
    /// Name of the key pair.
    pub access_key_id: String,
    /// The secret of the key pair.
    pub secret_access_key: Secret,
    /// Whether an address with `http://` is accepted: only for a server on this machine or a closed network.
    pub allow_http: bool,
    /// A folder on this machine for incoming bytes; it must hold the largest files under way.
    pub spool_dir: PathBuf,
    /// How long the server may keep silent before a request counts as lost.
    pub silence: Duration,
    /// For how long a request that may be repeated is repeated.
    pub patience: Duration,
}

impl Default for BucketConfig {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: "us-east-1".to_owned(),
            access_key_id: String::new(),
            secret_access_key: Secret::default(),
            allow_http: false,
            spool_dir: std::env::temp_dir().join("eakte-spool"),
            silence: Duration::from_mins(1),
            patience: Duration::from_secs(30),
        }
    }
}

impl BucketConfig {
    /// Refuses settings that cannot work, each with a sentence.
    ///
    /// # Errors
    ///
    /// [`StoreError::Configuration`].
    pub fn check(&self) -> Result<(), StoreError> {
        let wrong = |text: &str| Err(StoreError::Configuration(text.to_owned()));
        if self.access_key_id.is_empty() || self.secret_access_key.reveal().is_empty() {
            return wrong(
                "Für den Objektspeicher fehlen die Zugangsdaten (access_key_id, secret_access_key).",
            );
        }
        match self.endpoint.as_deref() {
            Some(endpoint) if endpoint.starts_with("http://") && !self.allow_http => wrong(
                "Die Adresse des Objektspeichers beginnt mit http://; unverschlüsselt nur mit allow_http = true.",
            ),
            Some(endpoint) if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") => {
                wrong("Die Adresse des Objektspeichers muss mit https:// beginnen.")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_url_round_trips() {
        for text in ["s3://akten", "s3://akten/steverau/2026"] {
            assert_eq!(text.parse::<BucketUrl>().unwrap().to_string(), text);
        }
        assert_eq!("s3://akten/a/".parse::<BucketUrl>().unwrap().to_string(), "s3://akten/a");
        for bad in [
            "",
            "akten",
            "s3://",
            "s3://ab",
            "s3://akten//x",
            "s3://akten/../x",
            "s3://ak?en",
            "https://akten",
        ] {
            assert!(bad.parse::<BucketUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn settings_that_cannot_work_are_refused_and_the_secret_stays_hidden() {
        let good = BucketConfig {
            endpoint: Some("http://127.0.0.1:9000".to_owned()),
            access_key_id: "schluessel".to_owned(),
            secret_access_key: Secret::new("geheim"),
            allow_http: true,
            ..BucketConfig::default()
        };
        good.check().unwrap();
        assert!(!format!("{good:?}").contains("geheim"));
        for bad in [
            BucketConfig { allow_http: false, ..good.clone() },
            BucketConfig { endpoint: Some("127.0.0.1:9000".to_owned()), ..good.clone() },
            BucketConfig { secret_access_key: Secret::default(), ..good.clone() },
        ] {
            assert!(matches!(bad.check(), Err(StoreError::Configuration(_))), "{bad:?}");
        }
    }
}
