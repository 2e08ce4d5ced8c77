//! Where connections to the page of figures come in: few at once, and none for long. Each costs a descriptor, and
//! whoever can reach the page must not be able to use up those that hearing and the hub's link need.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

/// The most connections at once; the others wait.
const MOST: usize = 16;

/// A visit, question and answer, may take so long.
const LONGEST: Duration = Duration::from_secs(10);

/// Takes connections.
pub(super) struct Door {
    listener: TcpListener,
    room: Arc<Semaphore>,
}

impl Door {
    pub(super) fn new(listener: TcpListener) -> Door {
        Door { listener, room: Arc::new(Semaphore::new(MOST)) }
    }
}

/// One connection.
pub(super) struct Visit {
    stream: TcpStream,
    /// `None` only if nobody counted, which does not happen: the semaphore is never closed.
    _place: Option<OwnedSemaphorePermit>,
    patience: Pin<Box<Sleep>>,
}

impl Listener for Door {
    type Io = Visit;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Visit, SocketAddr) {
        let place = self.room.clone().acquire_owned().await.ok();
        let (stream, from) = Listener::accept(&mut self.listener).await;
        let patience = Box::pin(tokio::time::sleep(LONGEST));
        (Visit { stream, _place: place, patience }, from)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Visit {
    fn in_time(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.patience.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Visit {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.in_time(context)?;
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Visit {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.in_time(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_util::sync::CancellationToken;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn visitors_who_say_nothing_are_few_and_shown_out() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let at = listener.local_addr().expect("an address");
        let handle = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder().handle();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(super::super::serve_on(listener, handle, stop.clone()));
        let mut silent = Vec::new();
        for _ in 0..3 * MOST {
            silent.push(TcpStream::connect(at).await.expect("it listens"));
        }
        let mut scrape = TcpStream::connect(at).await.expect("it listens");
        scrape.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("written");
        let mut told = Vec::new();
        let read = scrape.read_to_end(&mut told);
        // Three rounds of silent ones are before it.
        tokio::time::timeout(4 * LONGEST, read).await.expect("in time").expect("an answer");
        assert!(told.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&told));
        let first = silent.first_mut().expect("one").read(&mut [0; 1]).await;
        assert!(matches!(first, Ok(0) | Err(_)), "{first:?}");
        stop.cancel();
        serving.await.expect("no panic").expect("no error");
    }
}
