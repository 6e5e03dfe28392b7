//! HTTP/1.1 by hand over TCP: only so can a test say which bytes come in which packet and how a connection ends.

use super::reply::{Gate, Usage};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::ReadHalf;

/// The largest request taken.
const MOST: usize = 256 << 20;

/// A request's parts as read.
pub(crate) struct RawRequest {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// A connection, with what was read ahead.
pub(crate) struct Connection {
    stream: TcpStream,
    ahead: Vec<u8>,
    wrote: bool,
}

impl Connection {
    pub fn new(stream: TcpStream) -> Self {
        // Packets are to leave as they are written.
        let _ = stream.set_nodelay(true);
        Connection {
            stream,
            ahead: Vec::new(),
            wrote: false,
        }
    }

    /// Reads on; an error if the client is gone.
    async fn more(&mut self) -> io::Result<()> {
        if self.ahead.len() > MOST {
            return Err(bad("too large"));
        }
        match self.stream.read_buf(&mut self.ahead).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.ahead.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.ahead.drain(..=end).collect();
                let line = String::from_utf8(line).map_err(|_| bad("a header that is not UTF-8"))?;
                return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
            }
            self.more().await?;
        }
    }

    async fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.ahead.len() < count {
            self.more().await?;
        }
        Ok(self.ahead.drain(..count).collect())
    }

    /// The next request; an error if there will be none.
    pub async fn request(&mut self) -> io::Result<RawRequest> {
        let first = self.line().await?;
        let mut words = first.split(' ');
        let (Some(method), Some(path)) = (words.next(), words.next()) else {
            return Err(bad("no request line"));
        };
        let (method, path) = (method.to_owned(), path.to_owned());
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let header = |wanted: &str| {
            headers
                .iter()
                .find(|(name, _)| name == wanted)
                .map(|(_, v)| v.as_str())
        };
        if header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let chunked = header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
        let length = header("content-length").and_then(|value| value.parse().ok());
        let body = if chunked {
            self.chunked_body().await?
        } else {
            self.bytes(length.unwrap_or_default()).await?
        };
        Ok(RawRequest {
            method,
            path,
            headers,
            body,
        })
    }

    async fn chunked_body(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| bad("a chunk without its size"))?;
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.bytes(size).await?);
            self.line().await?;
        }
    }

    /// Does the steps, and watches whether the client hangs up meanwhile. What a client could know once it has read
    /// some bytes is noted before they are written: a test that looks into the ledger then finds it there.
    pub async fn play(&mut self, steps: Vec<Step>, mut note: impl FnMut(Note)) -> Played {
        self.wrote = false;
        let broken = steps.iter().any(|step| matches!(step, Step::Reset | Step::Close));
        let last = steps.iter().rposition(|step| matches!(step, Step::Write(_)));
        let last = last.filter(|_| !broken);
        let mut told = None;
        let mut steps = steps.into_iter().enumerate().peekable();
        while let Some((index, step)) = steps.next() {
            let mut telling = None;
            if let (Step::Write(_), Some((_, Step::Told(usage)))) = (&step, steps.peek()) {
                telling = Some(*usage);
                note(Note::Told(telling));
            }
            if last == Some(index) {
                note(Note::Last);
            }
            if let Some(end) = self.step(step).await {
                if end == Played::HungUp && telling.is_some() {
                    note(Note::Told(told));
                }
                return end;
            }
            told = telling.or(told);
        }
        Played::Whole
    }

    /// Does one step; says how it ended if nothing more is to be done.
    async fn step(&mut self, step: Step) -> Option<Played> {
        let (mut reader, mut writer) = self.stream.split();
        let done = match step {
            Step::Write(bytes) => {
                self.wrote = true;
                let writing = async { writer.write_all(&bytes).await.is_ok() };
                unless_gone(&mut reader, &mut self.ahead, writing).await == Some(true)
            }
            Step::Wait(time) => {
                let waiting = tokio::time::sleep(time);
                unless_gone(&mut reader, &mut self.ahead, waiting).await.is_some()
            }
            Step::Hold(gate) => unless_gone(&mut reader, &mut self.ahead, gate.pass())
                .await
                .is_some(),
            Step::Told(_) => true,
            Step::Reset => {
                self.reset();
                return Some(Played::Broken);
            }
            Step::Close => return Some(Played::Broken),
        };
        (!done).then_some(Played::HungUp)
    }

    /// Whether the last steps came as far as to write something.
    pub fn wrote(&self) -> bool {
        self.wrote
    }

    /// Makes the connection's end, soon to come, a reset.
    pub fn reset(&self) {
        let _ = self.stream.set_zero_linger();
    }
}

/// Does the work; nothing if the client goes before it is done.
async fn unless_gone<F: Future>(
    reader: &mut ReadHalf<'_>,
    ahead: &mut Vec<u8>,
    work: F,
) -> Option<F::Output> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            // The reader first: of a client that is gone we want to know even if there is room to write.
            biased;
            read = reader.read_buf(ahead) => match read {
                Ok(count) if count > 0 => {}
                _ => return None,
            },
            done = &mut work => return Some(done),
        }
    }
}

/// How steps ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Played {
    Whole,
    Broken,
    HungUp,
}

/// What comes to be known on the way.
pub(crate) enum Note {
    /// The client is told this usage; none if it did not come to that.
    Told(Option<Usage>),
    /// The last bytes are about to be written.
    Last,
}

/// One thing to do on the wire.
pub(crate) enum Step {
    /// Write in one packet (if it fits).
    Write(Vec<u8>),
    /// Wait.
    Wait(Duration),
    /// Wait for the gate.
    Hold(Gate),
    /// The write before this one told the client this usage.
    Told(Usage),
    /// End with RST.
    Reset,
    /// End with FIN.
    Close,
}

/// A response's head, with the empty line at its end.
pub(crate) fn head(status: u16, headers: &[(String, String)]) -> Vec<u8> {
    let reason = match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Status",
    };
    let mut head = format!("HTTP/1.1 {status} {reason}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// Bytes as one chunk of a body whose length is not known.
pub(crate) fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
    framed.extend_from_slice(bytes);
    framed.extend_from_slice(b"\r\n");
    framed
}

/// The end of such a body.
pub(crate) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
