//! The bridge from an async body to the blocking intake: a short pipe, so that memory does not grow with the file,
//! and an eye on senders that are too slow. A body that ends early never looks like one that is whole.

use super::{Api, Limits, Problem};
use crate::archive::Error;
use crate::tasks::Room;
use axum::body::Bytes;
use futures_util::{Stream, StreamExt as _};
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Chunks on their way: four, of at most a few hundred KiB each.
const CHUNKS: usize = 4;

/// What goes through the pipe.
#[derive(Debug)]
pub(super) enum Piece {
    /// Bytes.
    Bytes(Bytes),
    /// The sender has sent everything. Without this the reader ends with an error.
    End,
    /// The sender failed.
    Failed(io::Error),
}

/// The blocking end of the pipe.
#[derive(Debug)]
pub(super) struct PipeReader {
    pieces: Receiver<Piece>,
    current: Bytes,
    ended: bool,
}

/// A pipe.
pub(super) fn pipe() -> (Sender<Piece>, PipeReader) {
    let (sender, pieces) = channel(CHUNKS);
    (sender, PipeReader { pieces, current: Bytes::new(), ended: false })
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Piece::Bytes(bytes)) => self.current = bytes,
                Some(Piece::End) => self.ended = true,
                Some(Piece::Failed(error)) => return Err(error),
                // Dropped without a word: the connection is gone.
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "Verbindung beendet")),
            }
        }
        let count = self.current.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}

/// How sending into the pipe ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// Everything is in the pipe.
    All,
    /// The sender was too slow.
    TooSlow,
    /// The connection broke, or the body is malformed.
    Broken,
    /// The reader had read enough.
    NotWanted,
}

/// Sends a stream into the pipe; `count` hears of every chunk that went in. Says how it ended; the end is not sent.
pub(super) async fn pump<S, E>(
    stream: &mut S,
    pipe: &Sender<Piece>,
    limits: &Limits,
    mut count: impl FnMut(u64),
) -> Sent
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let (mut waited, mut bytes) = (Duration::ZERO, 0_u64);
    loop {
        let begun = Instant::now();
        let chunk = match tokio::time::timeout(limits.idle, stream.next()).await {
            Err(_) => return Sent::TooSlow,
            Ok(None) => return Sent::All,
            Ok(Some(Err(_))) => return Sent::Broken,
            Ok(Some(Ok(chunk))) => chunk,
        };
        // Only the sender's time counts, not ours.
        waited += begun.elapsed();
        let size = chunk.len() as u64;
        bytes += size;
        if waited > limits.grace && bytes < waited.as_secs().saturating_mul(limits.min_bytes_per_second) {
            return Sent::TooSlow;
        }
        if pipe.send(Piece::Bytes(chunk)).await.is_err() {
            return Sent::NotWanted;
        }
        count(size);
    }
}

/// Runs blocking work that reads a stream.
pub(super) async fn read_stream<T, S, E>(
    api: &Api,
    room: Room,
    stream: &mut S,
    work: impl FnOnce(&mut dyn Read) -> Result<T, Error> + Send + 'static,
) -> Result<T, Problem>
where
    T: Send + 'static,
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let (pipe, mut reader) = pipe();
    let feed = async {
        let sent = pump(stream, &pipe, &api.0.limits, |_| {}).await;
        let last = match sent {
            Sent::All => Some(Piece::End),
            Sent::TooSlow => Some(Piece::Failed(io::ErrorKind::TimedOut.into())),
            Sent::Broken => Some(Piece::Failed(io::ErrorKind::UnexpectedEof.into())),
            Sent::NotWanted => None,
        };
        if let Some(last) = last {
            // The reader may have left meanwhile; then nobody needs it.
            let _ = pipe.send(last).await;
        }
        drop(pipe);
        sent
    };
    let (sent, outcome) = futures_util::future::join(feed, room.run(move || work(&mut reader))).await;
    match (sent, outcome) {
        (Sent::TooSlow, Err(_)) => Err(Problem::too_slow()),
        (Sent::Broken, Err(_)) => Err(Problem::malformed(
            "Die Übertragung brach ab oder ist nicht verständlich; gespeichert wurde nichts.",
        )),
        (_, outcome) => Ok(outcome?),
    }
}

/// Reads on a little: a sender in the middle of its body would not see the answer of a connection that is closed.
pub(super) async fn drain<S, E>(stream: &mut S)
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    const MOST_BYTES: usize = 16 * 1024 * 1024;
    let read = async {
        let mut left = MOST_BYTES;
        while let Some(Ok(chunk)) = stream.next().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(5), read).await;
}

/// A body for the multipart reader: one chunk at a time, and an end to headers that never end. The reader takes
/// everything that is ready, so without this a quick sender would fill the memory.
pub(super) struct Paced<S> {
    stream: S,
    pause: bool,
    unread: Arc<AtomicUsize>,
}

/// Most bytes that may lie unread in the multipart reader: two large chunks.
const MOST_UNREAD: usize = 2 * 1024 * 1024;

impl<S> Paced<S> {
    /// Wraps a body; the counter is to be set to 0 whenever the reader has given something.
    pub(super) fn new(stream: S) -> (Self, Arc<AtomicUsize>) {
        let unread = Arc::new(AtomicUsize::new(0));
        (Self { stream, pause: false, unread: unread.clone() }, unread)
    }
}

impl<S, E> Stream for Paced<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::error::Error + Send + Sync + 'static,
{
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if std::mem::take(&mut self.pause) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.stream).poll_next(context);
        polled.map(|chunk| {
            self.pause = true;
            let chunk = chunk?.map_err(io::Error::other);
            let size = chunk.as_ref().map_or(0, Bytes::len);
            let unread = self.unread.fetch_add(size, Ordering::Relaxed) + size;
            Some(if unread > MOST_UNREAD { Err(io::ErrorKind::InvalidData.into()) } else { chunk })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    fn limits() -> Limits {
        let second = Duration::from_secs(1);
        Limits { idle: second, grace: Duration::ZERO, min_bytes_per_second: 0, ..Limits::default() }
    }

    fn pumped(pieces: Vec<io::Result<Bytes>>, last: Option<Piece>) -> (Sent, io::Result<Vec<u8>>) {
        let (pipe, mut reader) = pipe();
        let thread = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).map(|_| bytes)
        });
        let sent = block_on(async {
            let sent = pump(&mut stream::iter(pieces), &pipe, &limits(), |_| {}).await;
            if let Some(last) = last {
                let _ = pipe.send(last).await;
            }
            sent
        });
        drop(pipe);
        (sent, thread.join().unwrap())
    }

    #[test]
    fn a_whole_body_arrives_and_a_broken_one_never_looks_whole() {
        let two = || vec![Ok(Bytes::from_static(b"ab")), Ok(Bytes::from_static(b"c"))];
        let (sent, read) = pumped(two(), Some(Piece::End));
        assert_eq!((sent, read.unwrap()), (Sent::All, b"abc".to_vec()));
        let (_, read) = pumped(two(), None);
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let broken = vec![Ok(Bytes::from_static(b"ab")), Err(io::ErrorKind::ConnectionReset.into())];
        let (sent, read) = pumped(broken, None);
        assert_eq!(sent, Sent::Broken);
        assert!(read.is_err());
    }

    #[test]
    fn a_silent_sender_is_given_up() {
        let (pipe, _reader) = pipe();
        let limits = Limits { idle: Duration::from_millis(20), ..limits() };
        let sent = block_on(async {
            let mut silent = stream::pending::<io::Result<Bytes>>();
            pump(&mut silent, &pipe, &limits, |_| {}).await
        });
        assert_eq!(sent, Sent::TooSlow);
    }

    #[test]
    fn a_sender_of_drops_is_given_up() {
        let (pipe, reader) = pipe();
        let mut reader = reader;
        let thread = std::thread::spawn(move || drop(reader.read_to_end(&mut Vec::new())));
        let limits = Limits { min_bytes_per_second: 1_000_000, ..limits() };
        let sent = block_on(async {
            let drops = stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(300)).await;
                Some((Ok::<_, io::Error>(Bytes::from_static(b".")), ()))
            });
            pump(&mut Box::pin(drops), &pipe, &limits, |_| {}).await
        });
        drop(pipe);
        thread.join().unwrap();
        assert_eq!(sent, Sent::TooSlow);
    }

    #[test]
    fn headers_that_never_end_are_cut() {
        let chunk = Bytes::from(vec![b'x'; 256 * 1024]);
        let endless = stream::repeat_with(move || Ok::<_, io::Error>(chunk.clone()));
        let (mut paced, _) = Paced::new(endless);
        let read = block_on(async { paced.by_ref().take(100).collect::<Vec<_>>().await });
        assert_eq!(read.iter().position(Result::is_err), Some(8));
    }
}
