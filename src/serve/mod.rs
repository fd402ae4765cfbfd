//! The server: accepts connections, answers them with the API, and stops without losing anything.
//!
//! Connections are accepted here rather than by a framework, because slow and silent peers must be dropped: while
//! they send a request's head, and while they receive an answer. (Bodies are watched by `api::upload`.)

mod house;
mod notify;
mod patient;

pub use house::Opening;

use crate::api::{self, Api};
use crate::archive::{Error, Installation, Kind};
use crate::tasks::Pools;
use crate::wording;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use futures_util::future::{Either, select};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use patient::Patient;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

/// Work beside the server, such as hot folders: runs in a thread of its own until the flag is set.
pub type Background = Box<dyn FnOnce(Arc<Installation>, Arc<AtomicBool>) + Send>;

/// How to serve.
pub struct ServeOptions {
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Longest wait for running requests when stopping.
    pub shutdown_grace: Duration,
    /// Longest time for a request's head, and between two requests of a connection.
    pub header_timeout: Duration,
    /// Longest time without a peer taking any byte of an answer.
    pub write_timeout: Duration,
    /// Connections at once; more wait.
    pub connections: usize,
    /// How much callers may take, and who may read `/metrics`.
    pub api: api::Options,
    /// Hears the address once requests are answered.
    pub on_ready: Option<Box<dyn FnOnce(SocketAddr) + Send>>,
    /// Hears which tenants are open: once all have been tried, and again whenever that changes.
    pub on_opening: Option<OnOpening>,
}

/// Hears how the opening of tenants goes, with the address at which the server answers.
pub type OnOpening = Box<dyn FnMut(SocketAddr, &Opening) + Send>;

impl std::fmt::Debug for ServeOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServeOptions")
            .field("listen", &self.listen)
            .field("api", &self.api)
            .finish_non_exhaustive()
    }
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8437)),
            shutdown_grace: Duration::from_secs(30),
            header_timeout: Duration::from_secs(20),
            write_timeout: Duration::from_mins(1),
            connections: 1_024,
            api: api::Options::default(),
            on_ready: None,
            on_opening: None,
        }
    }
}

/// Serves until the process is told to stop (SIGTERM or SIGINT; a second one cuts the grace short).
///
/// # Errors
/// When the address cannot be used, or the runtime cannot start.
pub fn serve(
    installation: Installation,
    options: ServeOptions,
    background: Vec<Background>,
) -> Result<(), Error> {
    let runtime = runtime(&options)?;
    let signals = {
        let _inside = runtime.enter();
        Signals::new().map_err(Error::from_os)?
    };
    run(runtime, installation, options, background, signals)
}

/// Serves until the future is ready.
///
/// # Errors
/// As [`serve`].
pub fn serve_until(
    installation: Installation,
    options: ServeOptions,
    background: Vec<Background>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let runtime = runtime(&options)?;
    run(runtime, installation, options, background, Once(Some(Box::pin(stop))))
}

/// Something that says when to stop, perhaps more than once.
trait Stops {
    async fn next(&mut self);
}

struct Once(Option<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Stops for Once {
    async fn next(&mut self) {
        match self.0.take() {
            Some(stop) => stop.await,
            None => std::future::pending().await,
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }
}

impl Stops for Signals {
    async fn next(&mut self) {
        select(pin!(self.terminate.recv()), pin!(self.interrupt.recv())).await;
    }
}

fn runtime(options: &ServeOptions) -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_multi_thread()
        .thread_name("serve")
        .max_blocking_threads(Pools::threads(options.api.limits.uploads) + 4)
        .enable_all()
        .build()
        .map_err(Error::from_os)
}

fn run(
    runtime: tokio::runtime::Runtime,
    installation: Installation,
    mut options: ServeOptions,
    background: Vec<Background>,
    mut stops: impl Stops,
) -> Result<(), Error> {
    let installation = Arc::new(installation);
    let (stopping, stopped) = watch::channel(false);
    let (on_ready, on_opening) = (options.on_ready.take(), options.on_opening.take());
    let listener = runtime.block_on(TcpListener::bind(options.listen)).map_err(|source| Error {
        kind: Kind::Unavailable,
        public: format!("Die Adresse {} ist nicht benutzbar: {}.", options.listen, wording::os(&source)),
        source: Some(Box::new(source)),
    })?;
    let address = listener.local_addr().map_err(Error::from_os)?;
    let flag = Arc::new(AtomicBool::new(false));
    let threads = start(&installation, &flag, background, house::keeping(address, on_opening))?;
    let api = Api::new(installation.clone(), options.api.clone(), stopped.clone());
    let router = api::router(api.clone());
    tracing::info!(%address, "serving");
    notify::ready();
    if let Some(on_ready) = on_ready {
        on_ready(address);
    }
    runtime.block_on(async {
        let mut connections = JoinSet::new();
        {
            let accepting = accept(&listener, &router, &stopped, &options, &mut connections);
            select(pin!(accepting), pin!(stops.next())).await;
        }
        drop(listener);
        tracing::info!("stopping");
        notify::stopping();
        // Idle connections close, running requests finish, endless answers end.
        let _ = stopping.send(true);
        api.close();
        let in_time = {
            let finish = async { while connections.join_next().await.is_some() {} };
            let (grace, again) = (pin!(tokio::time::sleep(options.shutdown_grace)), pin!(stops.next()));
            matches!(select(pin!(finish), select(grace, again)).await, Either::Left(_))
        };
        if !in_time {
            tracing::warn!(connections = connections.len(), "requests were cut off");
            connections.abort_all();
        }
    });
    flag.store(true, Ordering::Release);
    join(threads, options.shutdown_grace);
    drop((api, router));
    // A check of the whole archive may still be reading; nothing depends on its end.
    runtime.shutdown_timeout(Duration::from_secs(2));
    // Closing the archives commits what waits.
    if Arc::into_inner(installation).is_none() {
        tracing::warn!("something still uses the archive; what was acknowledged is durable");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Starts the threads beside the server.
fn start(
    installation: &Arc<Installation>,
    flag: &Arc<AtomicBool>,
    background: Vec<Background>,
    house: Background,
) -> Result<Vec<JoinHandle<()>>, Error> {
    let mut threads = Vec::new();
    for work in background.into_iter().chain([house]) {
        let (installation, flag) = (installation.clone(), flag.clone());
        let thread = std::thread::Builder::new().name("background".to_owned());
        let thread = thread.spawn(move || work(installation, flag));
        threads.push(thread.map_err(Error::from_os)?);
    }
    Ok(threads)
}

/// Waits for threads, but not for ever: everything that was acknowledged is durable.
fn join(threads: Vec<JoinHandle<()>>, patience: Duration) {
    let deadline = std::time::Instant::now() + patience;
    for thread in threads {
        while !thread.is_finished() && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        if !thread.is_finished() {
            tracing::warn!("a background thread does not end and is left behind");
        } else if thread.join().is_err() {
            tracing::error!("a background thread panicked");
        }
    }
}

async fn accept(
    listener: &TcpListener,
    router: &Router,
    stopped: &watch::Receiver<bool>,
    options: &ServeOptions,
    connections: &mut JoinSet<()>,
) {
    let slots = Arc::new(Semaphore::new(options.connections.max(1)));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(options.header_timeout).max_buf_size(256 * 1024);
    loop {
        let slot = slots.clone().acquire_owned().await.expect("never closed");
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, or a peer that left at once: others may still get through.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (router, builder, stopped) = (router.clone(), builder.clone(), stopped.clone());
        let write_timeout = options.write_timeout;
        connections.spawn(async move {
            let _slot = slot;
            answer(stream, peer, router, &builder, stopped, write_timeout).await;
        });
        // Ended connections are forgotten as others come.
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    builder: &http1::Builder,
    mut stopped: watch::Receiver<bool>,
    write_timeout: Duration,
) {
    // Small answers are not kept back to fill a packet; a socket that cannot do that works all the same.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    });
    let io = TokioIo::new(Patient::new(stream, write_timeout));
    let mut connection = pin!(builder.serve_connection(io, service));
    let stop = async move {
        // An error means that the server is gone altogether: stop as well.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let outcome = match select(connection.as_mut(), pin!(stop)).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        // Peers come and go; that is no fault of ours.
        tracing::debug!(%error, "a connection broke");
    }
}
