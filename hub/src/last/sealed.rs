//! The file of last figures and its key. Each line of it is encrypted by itself (XChaCha20-Poly1305, a nonce
//! made at random) and bound to its place in this one file, so that none can be changed, moved or brought from
//! another file unseen. It only ever grows; it is made anew when too much of it is out of date.

use std::fs::{File, remove_file, rename};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};

use crate::access::{warn_if_others_can_read, write_whole};

const MAGIC: &[u8; 16] = b"pinkas last 1\n\0\0";
const NONCE: usize = 24;
/// The longest line, encrypted.
const LONGEST_LINE: usize = 80 * 1024;
/// Longer than any file with a key.
const LONGEST_KEY: u64 = 1024;
/// The key's file begins so: no other file is taken for one.
const KEY_BEGINS: &str = "pinkas-last-known-key ";

/// The key that lines are encrypted with.
#[derive(Clone)]
pub(super) struct Key(XChaCha20Poly1305);

/// The key in a file; `None` when there is no such file.
pub(super) fn read_key(path: &Path) -> anyhow::Result<Option<Key>> {
    let mut text = String::new();
    match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).with_context(|| format!("cannot read {}", path.display())),
        Ok(file) => file.take(LONGEST_KEY).read_to_string(&mut text),
    }
    .with_context(|| format!("cannot read {}", path.display()))?;
    let bytes = text.trim_end().strip_prefix(KEY_BEGINS).and_then(|text| STANDARD.decode(text).ok());
    let bytes: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
    let Some(bytes) = bytes else {
        bail!("{} is not a key that this hub made: move it elsewhere, and a new one is made", path.display());
    };
    warn_if_others_can_read(path);
    Ok(Some(Key(XChaCha20Poly1305::new(&bytes.into()))))
}

/// Makes a key and its file, readable by its owner only.
pub(super) fn make_key(path: &Path) -> anyhow::Result<Key> {
    let bytes: [u8; 32] = random().context("no random numbers")?;
    let text = format!("{KEY_BEGINS}{}\n", STANDARD.encode(bytes));
    write_whole(path, text.as_bytes())?;
    Ok(Key(XChaCha20Poly1305::new(&bytes.into())))
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

/// What was found in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    id: [u8; 16],
    lines: u64,
    length: u64,
    /// The last line is not there as a whole: the hub ended while it wrote.
    pub(super) is_cut: bool,
}

/// Reads every line of a file; `None` when there is none.
///
/// # Errors
/// The file is damaged, or was written with another key. What `each` was given until then is to be dropped.
pub(super) fn read(path: &Path, key: &Key, mut each: impl FnMut(&[u8])) -> anyhow::Result<Option<Found>> {
    let file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut file = BufReader::new(file);
    let (mut magic, mut id) = ([0; 16], [0; 16]);
    file.read_exact(&mut magic)?;
    ensure!(magic == *MAGIC, "it is no such file");
    file.read_exact(&mut id)?;
    let mut found = Found { id, lines: 0, length: 32, is_cut: false };
    loop {
        let mut length = [0; 4];
        let read = read_part(&mut file, &mut length)?;
        if read == 0 {
            return Ok(Some(found));
        }
        let line_length = u32::from_le_bytes(length) as usize;
        ensure!(read < 4 || (NONCE..=LONGEST_LINE).contains(&line_length), "a line has no length");
        let mut line = vec![0; line_length];
        if read < 4 || read_part(&mut file, &mut line)? < line_length {
            found.is_cut = true;
            return Ok(Some(found));
        }
        let (nonce, sealed) = line.split_at(NONCE);
        let nonce: [u8; NONCE] = nonce.try_into()?;
        let payload = Payload { msg: sealed, aad: &place(&id, found.lines) };
        let plain = key.0.decrypt(&XNonce::from(nonce), payload);
        let plain = plain.map_err(|_| anyhow::anyhow!("a line was changed, or the key is another"))?;
        each(&plain);
        found.lines += 1;
        found.length += 4 + line_length as u64;
    }
}

/// Fills `part` as far as the file goes.
fn read_part(file: &mut impl Read, part: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = part.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(some) => read += some,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(read)
}

/// What a line is bound to: its file, and which line of it.
fn place(id: &[u8; 16], number: u64) -> [u8; 24] {
    let mut place = [0; 24];
    place[..16].copy_from_slice(id);
    place[16..].copy_from_slice(&number.to_be_bytes());
    place
}

/// The file, open at its end.
pub(super) struct Sealed {
    file: File,
    key: Key,
    id: [u8; 16],
    lines: u64,
    /// Bytes in it.
    pub(super) length: u64,
}

impl Sealed {
    /// Goes on with a file that was read to its end.
    pub(super) fn go_on(path: &Path, key: Key, found: Found) -> io::Result<Sealed> {
        let file = File::options().append(true).open(path)?;
        Ok(Sealed { file, key, id: found.id, lines: found.lines, length: found.length })
    }

    /// Writes a file anew, in the place of the old one: a crash leaves the old or the new one.
    pub(super) fn anew(path: &Path, key: Key, all: impl Iterator<Item = Vec<u8>>) -> io::Result<Sealed> {
        let new = new_name(path);
        match remove_file(&new) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut options = File::options();
        options.append(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut sealed = Sealed { file: options.open(&new)?, key, id: random()?, lines: 0, length: 32 };
        let mut start = [0; 32];
        start[..16].copy_from_slice(MAGIC);
        start[16..].copy_from_slice(&sealed.id);
        let mut out = io::BufWriter::new(sealed.file.try_clone()?);
        out.write_all(&start)?;
        for plain in all {
            let line = sealed.seal(&plain)?;
            out.write_all(&line)?;
            sealed.lines += 1;
            sealed.length += line.len() as u64;
        }
        out.flush()?;
        sealed.file.sync_all()?;
        rename(&new, path)?;
        Ok(sealed)
    }

    /// Writes one line more. After an error the file is not to be gone on with.
    pub(super) fn append(&mut self, plain: &[u8]) -> io::Result<()> {
        let line = self.seal(plain)?;
        self.file.write_all(&line)?;
        self.lines += 1;
        self.length += line.len() as u64;
        Ok(())
    }

    fn seal(&self, plain: &[u8]) -> io::Result<Vec<u8>> {
        let nonce: [u8; NONCE] = random()?;
        let payload = Payload { msg: plain, aad: &place(&self.id, self.lines) };
        let sealed = self.key.0.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| io::Error::other("a line could not be encrypted"))?;
        let length = u32::try_from(NONCE + sealed.len()).map_err(io::Error::other)?;
        Ok([&length.to_le_bytes()[..], &nonce, &sealed].concat())
    }
}

/// The name under which a file is made anew.
pub(super) fn new_name(path: &Path) -> PathBuf {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    new.into()
}
