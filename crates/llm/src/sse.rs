//! Server-sent events, read from bytes as they come: events over several packets, several in one, any line ending,
//! and with limits, since the other side is not ours.

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SseEvent {
    /// Its name; empty when it has none.
    pub event: String,
    /// Its data; several lines are joined by line feeds.
    pub data: String,
}

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SseError {
    /// An event is over the limit of size.
    TooLarge,
    /// A line is not UTF-8.
    NotUtf8,
}

/// An incremental reader.
#[derive(Debug)]
pub struct SseParser {
    line: Vec<u8>,
    event: String,
    data: String,
    has_data: bool,
    after_cr: bool,
    at_start: bool,
    limit: usize,
}

impl SseParser {
    /// A reader that takes events of up to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        SseParser {
            line: Vec::new(),
            event: String::new(),
            data: String::new(),
            has_data: false,
            after_cr: false,
            at_start: true,
            limit,
        }
    }

    /// Reads more bytes and gives each event that is now complete to `each`.
    ///
    /// # Errors
    /// When an event is too large or a line is not UTF-8; the reader is of no use afterwards.
    pub fn feed<E: From<SseError>>(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(SseEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        while !bytes.is_empty() {
            // The line feed of a CRLF that was cut between two packets, or not cut at all.
            if std::mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = bytes.iter().position(|b| matches!(b, b'\n' | b'\r')) else {
                self.grow(bytes)?;
                break;
            };
            self.grow(&bytes[..end])?;
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            if let Some(event) = self.end_line()? {
                each(event)?;
            }
        }
        Ok(())
    }

    /// Whether bytes of an unfinished event are held.
    pub fn is_inside_event(&self) -> bool {
        self.has_data || !self.line.is_empty()
    }

    fn grow(&mut self, bytes: &[u8]) -> Result<(), SseError> {
        if self.line.len() + self.data.len() + bytes.len() > self.limit {
            return Err(SseError::TooLarge);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self) -> Result<Option<SseEvent>, SseError> {
        let mut line = std::mem::take(&mut self.line);
        let skip = if std::mem::take(&mut self.at_start) && line.starts_with(b"\xEF\xBB\xBF") {
            3
        } else {
            0
        };
        let text = std::str::from_utf8(&line[skip..]).map_err(|_| SseError::NotUtf8)?;
        let event = self.take_line(text);
        // The buffer is used again, so that a stream allocates for its longest line once.
        line.clear();
        self.line = line;
        Ok(event)
    }

    fn take_line(&mut self, line: &str) -> Option<SseEvent> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            let data = std::mem::take(&mut self.data);
            return std::mem::take(&mut self.has_data).then_some(SseEvent { event, data });
        }
        let (field, value) = match line.split_once(':') {
            Some((field, value)) => (field, value.strip_prefix(' ').unwrap_or(value)),
            None => (line, ""),
        };
        match field {
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            "event" => value.clone_into(&mut self.event),
            // Comments (an empty field), `id` and `retry` mean nothing to an API call.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chunks: &[&[u8]], limit: usize) -> Result<Vec<(String, String)>, SseError> {
        let mut parser = SseParser::new(limit);
        let mut events = Vec::new();
        for chunk in chunks {
            parser.feed(chunk, |e| {
                events.push((e.event, e.data));
                Ok::<_, SseError>(())
            })?;
        }
        Ok(events)
    }

    const STREAM: &str = "\u{feff}: hello\r\nevent: a\r\ndata: ein\r\ndata: zwei äöü €🦀\r\n\r\ndata:{\"x\":1}\n\n\
        id: 7\rdata\rdata: y\r\r: keep-alive\n\nevent: none\n\ndata: [DONE]\n\n";

    fn expected() -> Vec<(String, String)> {
        [
            ("a", "ein\nzwei äöü €🦀"),
            ("", "{\"x\":1}"),
            ("", "\ny"),
            ("", "[DONE]"),
        ]
        .map(|(e, d)| (e.to_owned(), d.to_owned()))
        .to_vec()
    }

    #[test]
    fn whole_and_split_at_every_pair_of_bytes() {
        let bytes = STREAM.as_bytes();
        assert_eq!(read(&[bytes], 1000).expect("read"), expected());
        for i in 0..bytes.len() {
            for j in i..bytes.len() {
                let parts = [&bytes[..i], &bytes[i..j], &bytes[j..]];
                assert_eq!(
                    read(&parts, 1000).expect("read"),
                    expected(),
                    "split at {i} and {j}"
                );
            }
        }
    }

    #[test]
    fn byte_by_byte() {
        let parts: Vec<&[u8]> = STREAM.as_bytes().chunks(1).collect();
        assert_eq!(read(&parts, 1000).expect("read"), expected());
    }

    #[test]
    fn limits_and_bad_bytes() {
        assert_eq!(read(&[b"data: 0123456789"], 8), Err(SseError::TooLarge));
        assert_eq!(
            read(&[b"data: 01234\ndata: 01234\n"], 14),
            Err(SseError::TooLarge)
        );
        assert_eq!(read(&[b"data: \xff\n\n"], 99), Err(SseError::NotUtf8));
        let mut parser = SseParser::new(99);
        parser
            .feed(b"data: x\n", |_| Ok::<_, SseError>(()))
            .expect("read");
        assert!(parser.is_inside_event());
    }
}
