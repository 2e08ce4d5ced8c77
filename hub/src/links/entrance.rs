//! The listening socket: a connection that has not become a link in time, TLS included, is cut, so that
//! nobody can fill the hub with connections that say nothing. What a link may do afterwards is not its business.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// A connection must have asked to become a link within this time.
pub(super) const ENTERS_WITHIN: Duration = Duration::from_secs(10);

/// Where connections come in.
pub(crate) struct Entrance {
    /// The socket.
    pub listener: TcpListener,
    /// Makes handshakes; without it, plain text.
    pub tls: Option<TlsAcceptor>,
    /// A place for each connection, where they are counted; the others wait.
    pub room: Option<Arc<Semaphore>>,
}

/// One connection.
pub(crate) struct Guest {
    stream: Stream,
    from: SocketAddr,
    admitted: Admitted,
    /// Gone once it is a link.
    patience: Option<Pin<Box<Sleep>>>,
    /// Where connections are counted.
    _place: Option<OwnedSemaphorePermit>,
}

/// What a connection is made of. A handshake is made by whoever reads, so that a slow one delays no other.
enum Stream {
    Plain(TcpStream),
    Greeting(Box<Accept<TcpStream>>),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Goes on with the handshake; ready when there is none or it is done.
    fn poll_greeted(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Stream::Greeting(accept) = self {
            match Pin::new(accept).poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Ready(Ok(stream)) => *self = Stream::Tls(Box::new(stream)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Where a connection comes from, and the way to say that it has become a link.
#[derive(Clone)]
pub(super) struct Arrival {
    /// Says so.
    pub admitted: Admitted,
    /// From here.
    pub from: SocketAddr,
}

/// Whether a connection has become a link.
#[derive(Clone, Default)]
pub(super) struct Admitted(Arc<AtomicBool>);

impl Admitted {
    /// It has.
    pub(super) fn admit(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Listener for Entrance {
    type Io = Guest;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Guest, SocketAddr) {
        let place = match &self.room {
            Some(room) => room.clone().acquire_owned().await.ok(),
            None => None,
        };
        let (stream, from) = Listener::accept(&mut self.listener).await;
        // A card is one small frame: it must not wait for more.
        let _ = stream.set_nodelay(true);
        let patience = Some(Box::pin(tokio::time::sleep(ENTERS_WITHIN)));
        let stream = match &self.tls {
            Some(tls) => Stream::Greeting(Box::new(tls.accept(stream))),
            None => Stream::Plain(stream),
        };
        (Guest { stream, from, admitted: Admitted::default(), patience, _place: place }, from)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Entrance>> for Arrival {
    fn connect_info(incoming: IncomingStream<'_, Entrance>) -> Self {
        let guest = incoming.io();
        Arrival { admitted: guest.admitted.clone(), from: guest.from }
    }
}

impl AsyncRead for Guest {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.admitted.0.load(Ordering::Relaxed) {
            self.patience = None;
        }
        if let Some(patience) = &mut self.patience
            && patience.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        ready!(self.stream.poll_greeted(context))?;
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, into),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, into),
            Stream::Greeting(_) => Poll::Pending,
        }
    }
}

impl AsyncWrite for Guest {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.stream.poll_greeted(context))?;
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Greeting(_) => Poll::Pending,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
            Stream::Greeting(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Greeting(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.stream.poll_greeted(context))?;
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Stream::Greeting(_) => Poll::Pending,
        }
    }

    fn is_write_vectored(&self) -> bool {
        // rustls takes many parts as well.
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::testing;
    use crate::links::{Door, Doors, serve};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::{Instant, timeout};
    use tokio_util::sync::CancellationToken;

    async fn hub() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (hub, _) = tokio::sync::mpsc::channel(1);
        let access = Arc::new(testing::nobody());
        let doors = Doors { access, hub };
        tokio::spawn(serve(listener, Door::default(), Arc::new(doors), CancellationToken::new()));
        address
    }

    /// How long a connection that sends this stands, and what it was told.
    async fn stands(says: &str) -> (Duration, String) {
        let mut stream = TcpStream::connect(hub().await).await.expect("it lets in");
        let since = Instant::now();
        stream.write_all(says.as_bytes()).await.expect("it listens");
        let mut told = Vec::new();
        let _ = timeout(Duration::from_secs(60), stream.read_to_end(&mut told)).await.expect("it is cut");
        (since.elapsed(), String::from_utf8_lossy(&told).into_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_does_not_become_a_link_is_cut() {
        for says in ["", "GET /agent HTTP/1.1\r\nHost: hub\r\n", "GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n"]
        {
            let (stood, told) = stands(says).await;
            let late = ENTERS_WITHIN + Duration::from_secs(1);
            assert!((ENTERS_WITHIN..late).contains(&stood), "{says:?} stood for {stood:?}: {told}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_becomes_a_link_has_the_time_of_a_link() {
        let (_, told) = stands(
            "GET /agent HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await;
        assert!(told.starts_with("HTTP/1.1 101"), "{told}");
        assert!(told.contains("no hello came in time"), "{told}");
    }
}
