//! A set of bytes that is made once, so that each byte of a message is asked about with one look.

/// Some of the 256 bytes.
pub(super) struct ByteSet([bool; 256]);

impl ByteSet {
    /// Those in `bytes`.
    pub(super) const fn of(bytes: &[u8]) -> ByteSet {
        ByteSet([false; 256]).and(bytes)
    }

    /// Letters and digits of ASCII, and those in `bytes`.
    pub(super) const fn words_and(bytes: &[u8]) -> ByteSet {
        ByteSet([false; 256])
            .and(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
            .and(bytes)
    }

    const fn and(mut self, bytes: &[u8]) -> ByteSet {
        let mut rest = bytes;
        while let [first, after @ ..] = rest {
            self.0[*first as usize] = true;
            rest = after;
        }
        self
    }

    /// Whether a byte is one of them.
    pub(super) fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte)]
    }
}
