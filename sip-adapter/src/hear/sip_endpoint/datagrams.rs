//! The UDP socket to the phone system. Datagrams that follow each other closely are read together: waking up for each
//! costs more than reading it. On Unix not tokio's socket, which also wakes whenever an answer has left, and for
//! datagrams that nobody waits for yet.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use plain::Plain;
use tokio::time::{Instant, sleep};

/// A datagram that comes this soon after others waits as long for more. The first after a silence never waits.
const TOGETHER: Duration = Duration::from_millis(1);

/// So many at once are a flood: then nothing waits, so that the kernel's buffer does not overflow meanwhile.
const FLOOD: usize = 32;

/// How often, a millisecond apart, an answer is tried for which the kernel has no room. Then the other side repeats.
const TRIES: usize = 5;

/// The socket, to send with.
#[derive(Clone)]
pub(super) struct Datagrams(Arc<Plain>);

impl Datagrams {
    /// Binds one. `buffer`: bytes the kernel may keep while this program is busy, of which it gives what it may.
    pub(super) fn bind(local: SocketAddr, buffer: usize) -> io::Result<Datagrams> {
        let socket = UdpSocket::bind(local)?;
        socket.set_nonblocking(true)?;
        if socket2::SockRef::from(&socket).set_recv_buffer_size(buffer).is_err() {
            tracing::debug!("the receive buffer stays small");
        }
        Ok(Datagrams(Arc::new(Plain::new(socket)?)))
    }

    /// The address at this end.
    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Sends one.
    pub(super) async fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        for _ in 1..TRIES {
            match self.0.send_to(bytes, to) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => sleep(TOGETHER).await,
                sent => return sent,
            }
        }
        self.0.send_to(bytes, to)
    }

    /// To read with.
    pub(super) fn incoming(&self) -> Incoming {
        Incoming { socket: self.0.clone(), pace: Pace::Waits, read: 0, woke: None }
    }
}

/// A socket that never blocks, and says so by [`ErrorKind::WouldBlock`].
#[cfg(unix)]
mod plain {
    use super::*;
    use std::os::fd::AsFd;

    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    pub(super) struct Plain(UdpSocket);

    impl Plain {
        pub(super) fn new(socket: UdpSocket) -> io::Result<Plain> {
            Ok(Plain(socket))
        }

        pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
            self.0.local_addr()
        }

        pub(super) fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
            self.0.send_to(bytes, to)
        }

        pub(super) fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
            self.0.recv_from(buffer)
        }

        /// Registered only while it waits: else each datagram wakes this program up.
        pub(super) async fn readable(&self) -> io::Result<()> {
            #[expect(deprecated, reason = "its successor is unsafe; the socket outlives this")]
            let waiting = AsyncFd::with_interest(self.0.as_fd(), Interest::READABLE)?;
            waiting.readable().await?.retain_ready();
            Ok(())
        }
    }
}

/// The same elsewhere.
#[cfg(not(unix))]
mod plain {
    use super::*;

    pub(super) struct Plain(tokio::net::UdpSocket);

    impl Plain {
        pub(super) fn new(socket: UdpSocket) -> io::Result<Plain> {
            tokio::net::UdpSocket::from_std(socket).map(Plain)
        }

        pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
            self.0.local_addr()
        }

        pub(super) fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
            self.0.try_send_to(bytes, to)
        }

        pub(super) fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
            self.0.try_recv_from(buffer)
        }

        pub(super) async fn readable(&self) -> io::Result<()> {
            self.0.readable().await
        }
    }
}

/// How the next datagram is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// The kernel says when there is one.
    Waits,
    /// They come so closely that it is looked every [`TOGETHER`].
    Looks,
}

/// Datagrams in the order they came.
pub(super) struct Incoming {
    socket: Arc<Plain>,
    pace: Pace,
    /// How many were read since it last waited or looked.
    read: usize,
    /// When it last waited for one that came.
    woke: Option<Instant>,
}

impl Incoming {
    /// The next one: its length and whom it is from. An error is about one datagram.
    pub(super) async fn next(&mut self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        loop {
            match self.socket.recv_from(buffer) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.pause().await?,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                come => {
                    self.read += 1;
                    if self.read.is_multiple_of(FLOOD) {
                        // Others want to run as well.
                        tokio::task::yield_now().await;
                    }
                    return come;
                }
            }
        }
    }

    /// Until there may be more.
    async fn pause(&mut self) -> io::Result<()> {
        let read = std::mem::take(&mut self.read);
        if self.pace == Pace::Looks && (1..FLOOD).contains(&read) {
            sleep(TOGETHER).await;
            return Ok(());
        }
        self.socket.readable().await?;
        let now = Instant::now();
        let before = self.woke.replace(now);
        let soon = before.is_some_and(|before| now.saturating_duration_since(before) < 2 * TOGETHER);
        self.pace = if soon { Pace::Looks } else { Pace::Waits };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(incoming: &mut Incoming, count: usize) -> Vec<u8> {
        let mut buffer = [0; 16];
        let mut read = Vec::new();
        for _ in 0..count {
            let (length, _) = incoming.next(&mut buffer).await.expect("a datagram");
            read.extend_from_slice(&buffer[..length]);
        }
        read
    }

    #[tokio::test]
    async fn none_is_lost_and_none_overtakes_whether_they_come_alone_closely_or_as_a_flood() {
        let any = "127.0.0.1:0".parse().expect("an address");
        let (here, there) = (Datagrams::bind(any, 1 << 20), Datagrams::bind(any, 1 << 20));
        let (here, there) = (here.expect("a socket"), there.expect("a socket"));
        let to = here.local_addr().expect("an address");
        let mut incoming = here.incoming();
        let mut paces = Vec::new();
        for burst in [1, 3, FLOOD + 1, 1, 1, 1, 2 * FLOOD] {
            let sent: Vec<u8> = (0..u8::try_from(burst).expect("few")).collect();
            for n in &sent {
                there.send_to(&[*n], to).await.expect("sent");
            }
            assert_eq!(read(&mut incoming, burst).await, sent);
            paces.push(incoming.pace);
        }
        // Whether it looked is a matter of time, but after a look that found nothing it waits.
        let waits = async { while incoming.next(&mut [0; 16]).await.is_err() {} };
        let nothing = tokio::time::timeout(10 * TOGETHER, waits).await;
        assert!(nothing.is_err(), "something came that was not sent");
        assert_eq!(paces[0], Pace::Waits);
    }
}
