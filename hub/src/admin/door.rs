//! The door for administrators: few at once, each with one question of bounded size and in bounded time. A
//! pretended call lasts no longer than the connection that asked for it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use pinkas_protocol::{CallFacts, CallId, Line, wire};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixSocket, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Answered, Asked, DOOR, LONGEST_TRIAL_MS, ToCore};

/// The most who ask at once; the others wait.
const MOST: usize = 16;
/// The longest question, in bytes.
const LONGEST: u64 = 16 * 1024;
/// A question must be put, and an answer taken, within this time.
const WITHIN: Duration = Duration::from_secs(5);

/// Takes its file away when the hub ends.
struct Door(PathBuf);

impl Drop for Door {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

pub(super) fn open(folder: &Path, hub: mpsc::Sender<ToCore>, stop: &CancellationToken) {
    let at = folder.join(DOOR);
    match listen(&at) {
        Ok(listener) => {
            let (door, stop) = (Door(at), stop.clone());
            tokio::spawn(async move { serve(&door, listener, hub, stop).await });
        }
        Err(e) => tracing::warn!(
            "`why` and `simulate` cannot reach this hub while it runs: {} cannot be opened: {e:#}",
            at.display()
        ),
    }
}

/// Only the hub's own user may connect, from the first moment on: before `listen` nobody can.
fn listen(at: &Path) -> anyhow::Result<UnixListener> {
    // Whoever holds the store is alone here: this is of a hub that was killed.
    if let Err(e) = std::fs::remove_file(at)
        && e.kind() != std::io::ErrorKind::NotFound
    {
        return Err(e).context("what is there cannot be taken away");
    }
    let socket = UnixSocket::new_stream()?;
    socket.bind(at).context("a shorter `state` may help")?;
    std::fs::set_permissions(at, Permissions::from_mode(0o600))?;
    Ok(socket.listen(u32::try_from(MOST).unwrap_or(1))?)
}

async fn serve(_door: &Door, listener: UnixListener, hub: mpsc::Sender<ToCore>, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(MOST));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => {
                    // Out of descriptors, say: not again at once.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let (hub, stop) = (hub.clone(), stop.clone());
        tokio::spawn(async move {
            let _place = place;
            tokio::select! {
                () = stop.cancelled() => {}
                // Who asks and goes away hears nothing.
                _ = visit(stream, &hub) => {}
            }
        });
    }
}

async fn visit(stream: UnixStream, hub: &mpsc::Sender<ToCore>) -> anyhow::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read.take(LONGEST));
    let mut line = String::new();
    timeout(WITHIN, read.read_line(&mut line)).await??;
    match wire::decode(&line) {
        Ok(Asked::Why { which, line }) => {
            let (answer, answered) = oneshot::channel();
            hub.send(ToCore::Why { which, line, answer }).await?;
            say(&mut write, &Answered::Account { account: Box::new(answered.await?) }).await
        }
        Ok(Asked::Simulate { facts, line, for_ms }) => {
            let lasts = Duration::from_millis(for_ms.min(LONGEST_TRIAL_MS));
            let call = CallId(Uuid::now_v7());
            if !begins(hub, call, facts, line).await? {
                let what = "enough calls are being pretended: wait until one of them is over".to_owned();
                return say(&mut write, &Answered::Refused { what }).await;
            }
            let mut trial = Trial { call, hub: hub.clone(), over: false };
            say(&mut write, &Answered::Rings { call }).await?;
            // Whoever asked hangs up by going away; nothing else is expected of them.
            let _ = timeout(lasts, read.read(&mut [0; 1])).await;
            let account = trial.ends().await?;
            say(&mut write, &Answered::Account { account: Box::new(account) }).await
        }
        Err(_) => {
            let what = "this hub does not know the question: install the same Pinkas on both sides";
            say(&mut write, &Answered::Refused { what: what.to_owned() }).await
        }
    }
}

async fn begins(
    hub: &mpsc::Sender<ToCore>,
    call: CallId,
    facts: Box<CallFacts>,
    line: Option<Line>,
) -> anyhow::Result<bool> {
    let (answer, answered) = oneshot::channel();
    hub.send(ToCore::Trial { call, facts, line, answer }).await?;
    Ok(answered.await?)
}

/// A pretended call, which hangs up whatever becomes of who asked for it.
struct Trial {
    call: CallId,
    hub: mpsc::Sender<ToCore>,
    over: bool,
}

impl Trial {
    async fn ends(&mut self) -> anyhow::Result<crate::core::Account> {
        let (answer, answered) = oneshot::channel();
        self.hub.send(ToCore::TrialOver { call: self.call, answer }).await?;
        self.over = true;
        Ok(answered.await?)
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if !self.over {
            let (answer, _) = oneshot::channel();
            let (hub, call) = (self.hub.clone(), self.call);
            // A full inbox empties soon, or the hub ends.
            tokio::spawn(async move { hub.send(ToCore::TrialOver { call, answer }).await });
        }
    }
}

async fn say(write: &mut (impl AsyncWriteExt + Unpin), answer: &Answered) -> anyhow::Result<()> {
    let mut line = wire::encode(answer);
    line.push('\n');
    Ok(timeout(WITHIN, write.write_all(line.as_bytes())).await??)
}
