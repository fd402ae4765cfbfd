//! A store in an S3-compatible bucket.

use super::{
    Body, BucketConfig, BucketUrl, Created, DELETE, Key, LIST, Listed, ObjectStore, Prefix, READ, Staged,
    Staging, StoreError, WRITE, cut_range, read_whole, staging::Spool, wait::wait,
};
use crate::domain::digest::Hasher;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::{
    GetOptions, GetRange, MultipartUpload, ObjectStore as _, ObjectStoreExt as _, PutMode, PutPayload,
    PutResult, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, Checksum},
    client::{HttpError, HttpErrorKind},
    path::Path,
};
use std::{
    collections::VecDeque,
    error::Error,
    io::{self, Read},
    ops::{ControlFlow, Range},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::mpsc, task::JoinHandle};

/// Objects up to this size go in one request, larger ones in parts of at least this size.
const PART_BYTES: u64 = 8 * 1024 * 1024;
/// S3 allows 10,000 parts.
const MAX_PARTS: u64 = 9_000;
/// Parts of one upload under way at a time: with their buffers, the memory that an upload takes.
const PARTS_AT_ONCE: usize = 2;
/// Small objects under way at a time.
const PUTS_AT_ONCE: usize = 16;
/// Chunks of one download read ahead.
const CHUNKS_AHEAD: usize = 4;
/// Processes on one machine that may share a spool folder.
const MAX_SPOOLS: u32 = 64;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

type Answer<T> = Result<T, object_store::Error>;

/// A folder of a bucket. Any number of processes may use it at the same time.
#[derive(Debug)]
pub struct Bucket {
    url: BucketUrl,
    /// Repeats what may be repeated.
    client: AmazonS3,
    /// Sends each request once: a repeated create could meet its own first attempt.
    once: AmazonS3,
    runtime: Arc<Runtime>,
    /// None in a bucket that is only read.
    spool: Option<Arc<Spool>>,
}

/// The threads that drive our requests.
#[derive(Debug)]
struct Runtime(Option<tokio::runtime::Runtime>);

impl Runtime {
    fn new() -> io::Result<Self> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder
            .worker_threads(2)
            .thread_name("eakte-bucket")
            .enable_all()
            .build()
            .map(|inner| Self(Some(inner)))
    }

    fn spawn<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.0.as_ref().expect("only dropping takes the runtime away").spawn(future)
    }

    /// Runs a request on our threads and waits for it on this one, whatever runtime this one may belong to.
    fn run<T: Send + 'static>(&self, future: impl Future<Output = Answer<T>> + Send + 'static) -> Answer<T> {
        wait(self.spawn(future))?
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // Dropping it directly would panic on a thread of another runtime.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Bucket {
    /// Connects to a bucket. Sends nothing yet: [`Bucket::probe`] does.
    ///
    /// # Errors
    ///
    /// When the settings cannot work or the spool folder cannot be used.
    pub fn open(url: BucketUrl, config: &BucketConfig) -> Result<Self, StoreError> {
        let bucket = Self::open_to_read(url, config)?;
        Ok(Self { spool: Some(open_spool(config)?), ..bucket })
    }

    /// Connects to a bucket for reading only: nothing is made on this machine, and every write is refused.
    ///
    /// # Errors
    ///
    /// When the settings cannot work.
    pub fn open_to_read(url: BucketUrl, config: &BucketConfig) -> Result<Self, StoreError> {
        config.check()?;
        // Fails when the process has chosen one already, which is just as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = Runtime::new().map_err(|source| StoreError::io("verbinden", &url, source))?;
        let client = connect(&url, config, 10)?;
        let once = connect(&url, config, 0)?;
        Ok(Self { url, client, once, runtime: Arc::new(runtime), spool: None })
    }

    /// The spool, as long as anything may be written.
    fn spool(&self) -> Result<&Arc<Spool>, StoreError> {
        self.spool.as_ref().ok_or_else(|| StoreError::opened_to_read(&self.url))
    }

    /// Where it is.
    pub fn url(&self) -> &BucketUrl {
        &self.url
    }

    /// Asks whether the server keeps what this program relies on: that a second create of the same name is refused,
    /// and that a deleted object is gone.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotHonoured`] when it overwrites, [`StoreError::Configuration`] when the bucket keeps old
    /// versions, otherwise what kept it from answering.
    pub fn probe(&self) -> Result<(), StoreError> {
        let key = Key::new(format!("probe/{}", uuid::Uuid::new_v4()))
            .expect("a fixed folder and hexadecimal digits form a valid key");
        let outcome = self.probe_with(&key);
        let _ = self.delete(std::slice::from_ref(&key));
        outcome
    }

    fn probe_with(&self, key: &Key) -> Result<(), StoreError> {
        let first = self.put_once(key, Bytes::from_static(b"1"));
        if let Ok(Some(PutResult { version: Some(version), .. })) = &first
            && version != "null"
        {
            return Err(StoreError::Configuration(format!(
                "{}: Der Bucket bewahrt alte Versionen auf; gelöschte Unterlagen blieben erhalten. \
                 Bitte einen Bucket ohne Versionierung verwenden.",
                self.url
            )));
        }
        first?;
        match self.put_once(key, Bytes::from_static(b"2")) {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(StoreError::NotHonoured { place: self.url.to_string() }),
            Err(error) => Err(error),
        }
    }

    /// Writes an object if its name is free, in one attempt; `None` when the name is taken.
    fn put_once(&self, key: &Key, bytes: Bytes) -> Result<Option<PutResult>, StoreError> {
        let (client, path) = (self.once.clone(), self.path(key));
        let answer = self
            .runtime
            .run(async move { client.put_opts(&path, bytes.into(), PutMode::Create.into()).await });
        match answer {
            Ok(result) => Ok(Some(result)),
            // 412 and 304 come wrapped in another error of the library. A bare 409 says that another create is under
            // way, which may yet fail.
            Err(object_store::Error::AlreadyExists { source, .. }) if source.is::<object_store::Error>() => {
                Ok(None)
            }
            Err(error) => Err(self.write_error(key, error)),
        }
    }

    fn path(&self, key: &Key) -> Path {
        match self.url.prefix().as_str() {
            "" => Path::from(key.as_str()),
            prefix => Path::from(format!("{prefix}/{key}")),
        }
    }

    fn put(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        let (client, path) = (self.client.clone(), self.path(key));
        let answer = self.runtime.run(async move { client.put(&path, bytes.into()).await });
        answer.map(|_| ()).map_err(|error| self.write_error(key, error))
    }

    /// Sends a staged file in parts, reading each when there is room for it.
    fn upload(&self, key: &Key, staged: &Staged) -> Result<(), StoreError> {
        let (client, path) = (self.client.clone(), self.path(key));
        let started = self.runtime.run(async move { client.put_multipart(&path).await });
        let mut upload = started.map_err(|error| self.write_error(key, error))?;
        match self.send_parts(key, staged, upload.as_mut()) {
            Ok(()) => {
                let finished = self.runtime.run(async move { upload.complete().await });
                finished.map(|_| ()).map_err(|error| self.write_error(key, error))
            }
            Err(error) => {
                // What the server keeps of it otherwise has no name and costs space only.
                let _ = self.runtime.run(async move { upload.abort().await });
                Err(error)
            }
        }
    }

    fn send_parts(
        &self,
        key: &Key,
        staged: &Staged,
        upload: &mut dyn MultipartUpload,
    ) -> Result<(), StoreError> {
        let part_bytes = PART_BYTES.max(staged.size_bytes().div_ceil(MAX_PARTS));
        let mut body = staged.open()?;
        let mut hasher = Hasher::new();
        let mut under_way = VecDeque::new();
        let mut outcome = Ok(());
        let mut left = staged.size_bytes();
        while left > 0 && outcome.is_ok() {
            let length = left.min(part_bytes);
            match read_part(&mut body, length, &mut hasher) {
                Ok(bytes) => under_way.push_back(self.runtime.spawn(upload.put_part(bytes.into()))),
                Err(error) => outcome = Err(error),
            }
            left -= length;
            if under_way.len() >= PARTS_AT_ONCE {
                outcome = outcome.and(self.await_part(key, &mut under_way));
            }
        }
        while !under_way.is_empty() {
            outcome = outcome.and(self.await_part(key, &mut under_way));
        }
        outcome.and_then(|()| require_digest(staged, hasher))
    }

    fn await_part(
        &self,
        key: &Key,
        under_way: &mut VecDeque<JoinHandle<Answer<()>>>,
    ) -> Result<(), StoreError> {
        let Some(part) = under_way.pop_front() else { return Ok(()) };
        wait(part).map_err(object_store::Error::from).flatten().map_err(|error| self.write_error(key, error))
    }

    fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Body, StoreError> {
        let (client, path) = (self.client.clone(), self.path(key));
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        let result = self
            .runtime
            .run(async move { client.get_opts(&path, options).await })
            .map_err(|error| self.read_error(READ, key, error))?;
        let size_bytes = result.range.end - result.range.start;
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
        let mut stream = result.into_stream();
        drop(self.runtime.spawn(async move {
            while let Some(chunk) = stream.next().await {
                if sender.send(chunk).await.is_err() {
                    break; // The reader has seen enough.
                }
            }
        }));
        let reader = Download { chunks, current: Bytes::new(), _runtime: Arc::clone(&self.runtime) };
        Ok(Body::new(size_bytes, reader))
    }

    /// Whether a name is really free, or the whole bucket is gone: the answer to HEAD tells them apart by no word.
    fn require_bucket(&self, key: &Key) -> Result<(), StoreError> {
        match self.get(key, Some(0..1)) {
            Err(error @ StoreError::Unavailable { .. }) => Err(error),
            _ => Ok(()),
        }
    }

    fn read_error(&self, action: &'static str, key: &Key, error: object_store::Error) -> StoreError {
        match error {
            object_store::Error::NotFound { .. } if !is_bucket_missing(&error) => {
                StoreError::Missing(key.clone())
            }
            error => refused(action, self.name(key), error).unwrap_or_else(|error| StoreError::Unavailable {
                action,
                object: self.name(key),
                source: Box::new(error),
            }),
        }
    }

    fn write_error(&self, key: &Key, error: object_store::Error) -> StoreError {
        let object = self.name(key);
        // Only a connection that never stood has surely carried nothing.
        if connection_kind(&error) == Some(HttpErrorKind::Connect) || is_bucket_missing(&error) {
            return StoreError::Unavailable { action: WRITE, object, source: Box::new(error) };
        }
        refused(WRITE, object.clone(), error).unwrap_or_else(|error| StoreError::Doubt {
            action: WRITE,
            object,
            source: Box::new(error),
        })
    }

    fn name(&self, key: &Key) -> String {
        format!("{}/{key}", self.url)
    }
}

impl ObjectStore for Bucket {
    fn stage(&self) -> Result<Staging, StoreError> {
        self.spool()?.stage()
    }

    fn publish(&self, staged: &Staged, key: &Key) -> Result<(), StoreError> {
        self.spool()?;
        if staged.size_bytes() > PART_BYTES {
            return self.upload(key, staged);
        }
        let mut hasher = Hasher::new();
        let bytes = read_part(&mut staged.open()?, staged.size_bytes(), &mut hasher)?;
        require_digest(staged, hasher)?;
        self.put(key, bytes)
    }

    fn put_all(&self, objects: &[(Key, Bytes)]) -> Result<(), StoreError> {
        self.spool()?;
        let requests: Vec<_> = objects
            .iter()
            .map(|(key, bytes)| {
                let (client, path, key, bytes) = (self.client.clone(), self.path(key), key.clone(), bytes.clone());
                async move { client.put(&path, PutPayload::from(bytes)).await.err().map(|error| (key, error)) }
            })
            .collect();
        let all = stream::iter(requests).buffer_unordered(PUTS_AT_ONCE).filter_map(std::future::ready);
        let failed = self.runtime.run(async move { Ok(all.collect::<Vec<_>>().await) });
        let failed = failed.map_err(|error| StoreError::Doubt {
            action: WRITE,
            object: self.url.to_string(),
            source: Box::new(error),
        })?;
        failed.into_iter().next().map_or(Ok(()), |(key, error)| Err(self.write_error(&key, error)))
    }

    /// Nothing to do: a bucket acknowledges an object with its name.
    fn barrier(&self, _keys: &[Key]) -> Result<(), StoreError> {
        Ok(())
    }

    fn create(&self, key: &Key, bytes: Bytes) -> Result<Created, StoreError> {
        self.spool()?;
        Ok(if self.put_once(key, bytes)?.is_some() { Created::Created } else { Created::Exists })
    }

    fn replace(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        self.spool()?;
        self.put(key, bytes)
    }

    fn read(&self, key: &Key) -> Result<Bytes, StoreError> {
        read_whole(key, self.open(key)?)
    }

    fn open(&self, key: &Key) -> Result<Body, StoreError> {
        self.get(key, None)
    }

    fn open_range(&self, key: &Key, range: Range<u64>) -> Result<Body, StoreError> {
        // Servers differ in how they answer a range behind the end.
        let size_bytes = self.size(key)?.ok_or_else(|| StoreError::Missing(key.clone()))?;
        let range = cut_range(key, &range, size_bytes)?;
        self.get(key, Some(range))
    }

    fn size(&self, key: &Key) -> Result<Option<u64>, StoreError> {
        let (client, path) = (self.client.clone(), self.path(key));
        match self.runtime.run(async move { client.head(&path).await }) {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => self.require_bucket(key).map(|()| None),
            Err(error) => Err(self.read_error(READ, key, error)),
        }
    }

    fn list(
        &self,
        prefix: &Prefix,
        visit: &mut dyn FnMut(Listed) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let root = self.url.prefix().as_str();
        let folder =
            [root, prefix.as_str()].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>();
        let folder = (!folder.is_empty()).then(|| Path::from(folder.join("/")));
        let client = self.client.clone();
        let (sender, mut pages) = mpsc::channel(2);
        drop(self.runtime.spawn(async move {
            let mut pages = client.list(folder.as_ref()).try_ready_chunks(1_000).map_err(|error| error.1);
            while let Some(page) = pages.next().await {
                if sender.send(page).await.is_err() {
                    break;
                }
            }
        }));
        while let Some(page) = wait(pages.recv()) {
            let page = page.map_err(|error| {
                let object = format!("{}/{prefix}", self.url);
                refused(LIST, object.clone(), error).unwrap_or_else(|error| StoreError::Unavailable {
                    action: LIST,
                    object,
                    source: Box::new(error),
                })
            })?;
            for meta in page {
                let name = meta.location.as_ref();
                let below = if root.is_empty() { Some(name) } else { name.strip_prefix(root) };
                let Some(Ok(key)) = below.map(|name| Key::new(name.trim_start_matches('/'))) else {
                    continue;
                };
                let listed = Listed { key, size_bytes: meta.size, modified: meta.last_modified.into() };
                if visit(listed).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
        self.spool()?;
        let paths: Vec<_> = keys.iter().map(|key| Ok(self.path(key))).collect();
        let client = self.client.clone();
        let failed = self.runtime.run(async move {
            let outcomes = client.delete_stream(stream::iter(paths).boxed());
            Ok(outcomes.filter_map(|outcome| std::future::ready(outcome.err())).collect::<Vec<_>>().await)
        });
        let failed = failed.unwrap_or_else(|error| vec![error]);
        let error = failed
            .into_iter()
            .find(|error| is_bucket_missing(error) || !matches!(error, object_store::Error::NotFound { .. }));
        error.map_or(Ok(()), |error| {
            let object = self.url.to_string();
            Err(refused(DELETE, object.clone(), error).unwrap_or_else(|error| StoreError::Doubt {
                action: DELETE,
                object,
                source: Box::new(error),
            }))
        })
    }
}

/// The chunks of a download, read ahead by our threads.
struct Download {
    chunks: mpsc::Receiver<Answer<Bytes>>,
    current: Bytes,
    /// Drives the download; it must live as long as its reader.
    _runtime: Arc<Runtime>,
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match wait(self.chunks.recv()) {
                Some(chunk) => self.current = chunk.map_err(io::Error::other)?,
                None => return Ok(0),
            }
        }
        let length = self.current.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.current.split_to(length));
        Ok(length)
    }
}

fn connect(url: &BucketUrl, config: &BucketConfig, max_retries: usize) -> Result<AmazonS3, StoreError> {
    let options = object_store::ClientOptions::new()
        .with_allow_http(config.allow_http)
        .with_connect_timeout(CONNECT_TIMEOUT)
        // A large file may take its time; what ends a request is silence.
        .with_timeout_disabled()
        .with_read_timeout(config.silence);
    let retry = RetryConfig { max_retries, retry_timeout: config.patience, ..RetryConfig::default() };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(url.bucket())
        .with_region(&config.region)
        .with_access_key_id(&config.access_key_id)
        .with_secret_access_key(config.secret_access_key.reveal())
        .with_allow_http(config.allow_http)
        .with_checksum_algorithm(Checksum::SHA256)
        // Not every server knows the request that deletes many at once.
        .with_disable_bulk_delete(true)
        .with_retry(retry)
        .with_client_options(options);
    if let Some(endpoint) = &config.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    builder.build().map_err(|error| {
        StoreError::Configuration(format!(
            "{url}: Die Angaben zum Objektspeicher passen nicht (technisch: {error})"
        ))
    })
}

/// The first spool below the folder that no other process holds.
fn open_spool(config: &BucketConfig) -> Result<Arc<Spool>, StoreError> {
    let mut outcome = Err(StoreError::Held { place: config.spool_dir.display().to_string() });
    for number in 0..MAX_SPOOLS {
        outcome = Spool::open(config.spool_dir.join(number.to_string()));
        if !matches!(outcome, Err(StoreError::Held { .. })) {
            break;
        }
    }
    outcome.map(Arc::new)
}

fn read_part(body: &mut Body, length: u64, hasher: &mut Hasher) -> Result<Bytes, StoreError> {
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    body.take(length).read_to_end(&mut bytes).map_err(StoreError::staging)?;
    hasher.update(&bytes);
    Ok(bytes.into())
}

/// The spool is read a second time for sending: what is sent must be what came in.
fn require_digest(staged: &Staged, hasher: Hasher) -> Result<(), StoreError> {
    if hasher.finish() == staged.digest() {
        return Ok(());
    }
    Err(StoreError::staging(io::Error::new(io::ErrorKind::InvalidData, "the staged bytes have changed")))
}

/// A refusal that no repetition changes; everything else comes back.
fn refused(
    action: &'static str,
    object: String,
    error: object_store::Error,
) -> Result<StoreError, object_store::Error> {
    match error {
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            Ok(StoreError::Io {
                action,
                object,
                source: io::Error::new(io::ErrorKind::PermissionDenied, error),
            })
        }
        error => Err(error),
    }
}

fn connection_kind(error: &object_store::Error) -> Option<HttpErrorKind> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        if let Some(error) = inner.downcast_ref::<HttpError>() {
            return Some(error.kind());
        }
        cause = inner.source();
    }
    None
}

/// A missing bucket answers 404 as a missing object does; taking one for the other would make an archive look empty.
fn is_bucket_missing(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. }) && error.to_string().contains("NoSuchBucket")
}
