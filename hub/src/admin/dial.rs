//! Asks a hub that runs on this machine, through its door for administrators.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use pinkas_protocol::wire;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use super::{Answered, Asked, DOOR};
use crate::core::Account;

/// An answer comes within this time, and whatever was asked for besides.
const WITHIN: Duration = Duration::from_secs(10);
/// Between two attempts to come in.
const AGAIN: Duration = Duration::from_millis(100);
/// The longest answers, in bytes.
const LONGEST: u64 = 16 << 20;

/// A question that was put.
pub(super) struct Dialled {
    read: BufReader<tokio::io::Take<OwnedReadHalf>>,
    /// Closed, it ends what was asked for.
    write: Option<OwnedWriteHalf>,
}

/// Puts a question; `None`: no hub runs here.
pub(super) async fn ask(folder: &Path, question: &Asked) -> anyhow::Result<Option<Dialled>> {
    let at = folder.join(DOOR);
    let mut waited = Duration::ZERO;
    let connected = loop {
        match UnixStream::connect(&at).await {
            // Others stand before the door; they are soon shown out.
            Err(e) if e.kind() == ErrorKind::WouldBlock && waited < WITHIN => {
                tokio::time::sleep(AGAIN).await;
                waited += AGAIN;
            }
            connected => break connected,
        }
    };
    let stream = match connected {
        Ok(stream) => stream,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => return Ok(None),
        Err(e) if e.kind() == ErrorKind::PermissionDenied => {
            bail!(
                "only the hub's own user may ask it: put `sudo -u pinkas` before the command, or its user's name"
            )
        }
        Err(e) => return Err(e).with_context(|| format!("cannot ask the hub through {}", at.display())),
    };
    let (read, mut write) = stream.into_split();
    let mut line = wire::encode(question);
    line.push('\n');
    timeout(WITHIN, write.write_all(line.as_bytes())).await.context("the hub does not listen")??;
    Ok(Some(Dialled { read: BufReader::new(read.take(LONGEST)), write: Some(write) }))
}

impl Dialled {
    /// Ends what was asked for before its time; its answer still comes.
    pub(super) fn hang_up(&mut self) {
        self.write = None;
    }

    /// The next answer, which is to be an account.
    pub(super) async fn account(&mut self, wait: Duration) -> anyhow::Result<Account> {
        match self.answer(wait).await? {
            Answered::Account { account } => Ok(*account),
            Answered::Refused { what } => bail!(what),
            Answered::Rings { .. } => bail!("the hub answered something else"),
        }
    }

    /// The next answer, which is due after `wait`.
    pub(super) async fn answer(&mut self, wait: Duration) -> anyhow::Result<Answered> {
        let mut line = String::new();
        timeout(wait + WITHIN, self.read.read_line(&mut line)).await.context("the hub does not answer")??;
        anyhow::ensure!(!line.is_empty(), "the hub has stopped meanwhile");
        wire::decode(&line).context("install the same Pinkas on both sides")
    }
}
