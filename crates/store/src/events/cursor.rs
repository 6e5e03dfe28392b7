//! Cursors: a place in the log. Opaque outside; inside `seq` on SQLite and `(epoch, xid, seq)` on PostgreSQL.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use std::str::FromStr;
use synapscale_core::Error;
use uuid::Uuid;

/// Which log, and which epoch new rows get.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogIdentity {
    pub id: Uuid,
    pub epoch: i64,
}

/// A place after which reading goes on. On SQLite epoch and xid are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Position {
    pub epoch: i64,
    pub xid: i64,
    pub seq: i64,
}

/// An opaque, durable place in one database's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) log: Uuid,
    pub(crate) position: Position,
}

/// First byte of a token.
const FORMAT: u8 = 1;
const LOG_BYTES: usize = 8;
const TOKEN_BYTES: usize = 1 + LOG_BYTES + 24;

impl Cursor {
    /// The place right before an event whose own place this is: reading from there finds that event first.
    pub(crate) fn before(self) -> Cursor {
        let mut cursor = self;
        cursor.position.seq = cursor.position.seq.saturating_sub(1);
        cursor
    }

    /// The first eight bytes of the log's id are enough to refuse another database's cursor.
    pub(crate) fn same_log(&self, log: Uuid) -> bool {
        self.log.as_bytes()[8..] == log.as_bytes()[8..]
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(TOKEN_BYTES);
        bytes.push(FORMAT);
        bytes.extend_from_slice(&self.log.as_bytes()[8..]);
        for number in [self.position.epoch, self.position.xid, self.position.seq] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(token: &str) -> Result<Self, Error> {
        let bad = || Error::invalid("/since", "cursor", "This is no cursor of this log.");
        if token.len() > 2 * TOKEN_BYTES {
            return Err(bad());
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| bad())?;
        if bytes.len() != TOKEN_BYTES || bytes[0] != FORMAT {
            return Err(bad());
        }
        let mut log = [0; 16];
        log[8..].copy_from_slice(&bytes[1..=LOG_BYTES]);
        let number = |at: usize| {
            let mut eight = [0; 8];
            let start = 1 + LOG_BYTES + at * 8;
            eight.copy_from_slice(&bytes[start..start + 8]);
            i64::from_be_bytes(eight)
        };
        Ok(Cursor {
            log: Uuid::from_bytes(log),
            position: Position {
                epoch: number(0),
                xid: number(1),
                seq: number(2),
            },
        })
    }
}
