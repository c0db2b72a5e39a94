//! Owns: what a program prints, on its way to the log: whole lines, bounded, without anything that looks like a token.
//! Does not: wait for the program, or log.

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::core::redact::{is_token_byte, mask_opaque};

/// Bytes of one line that are kept.
const LINE_BYTES: usize = 1024;

/// Hands each line of a stream to `log`, up to its end.
pub(crate) async fn read(stream: Option<impl AsyncRead + Unpin>, mut log: impl FnMut(&str)) {
    let Some(mut stream) = stream else { return };
    let mut lines = LineCutter::default();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(len) => lines.take(buffer.get(..len).unwrap_or_default(), &mut log),
        }
    }
    lines.end(&mut log);
}

/// Cuts a stream of bytes into lines, holding no more than one cut line.
#[derive(Default)]
struct LineCutter {
    line: Vec<u8>,
    is_cut: bool,
}

impl LineCutter {
    fn take(&mut self, bytes: &[u8], log: &mut impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            let (text, ended) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            let room = LINE_BYTES - self.line.len();
            self.line.extend_from_slice(text.get(..room).unwrap_or(text));
            self.is_cut |= text.len() > room;
            if ended {
                self.flush(log);
            }
        }
    }

    fn end(&mut self, log: &mut impl FnMut(&str)) {
        if !self.line.is_empty() {
            self.flush(log);
        }
    }

    fn flush(&mut self, log: &mut impl FnMut(&str)) {
        if self.is_cut {
            // What a cut left of a token would not look like one any more.
            let keep = self.line.iter().rposition(|b| !is_token_byte(*b));
            self.line.truncate(keep.map_or(0, |at| at + 1));
        }
        let mut text = mask_opaque(&String::from_utf8_lossy(&self.line)).into_owned();
        if self.is_cut {
            text.push('…');
        }
        log(text.trim_end_matches('\r'));
        self.line.clear();
        self.is_cut = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let mut logged = Vec::new();
        let mut log = |line: &str| logged.push(line.to_owned());
        let mut lines = LineCutter::default();
        for piece in pieces {
            lines.take(piece, &mut log);
        }
        lines.end(&mut log);
        logged
    }

    #[test]
    fn lines_are_whole_however_they_arrive() {
        assert_eq!(lines(&[b"a", b"b\nc\r\n", b"\n", b"d"]), ["ab", "c", "", "d"]);
        assert_eq!(lines(&[]), [""; 0]);
        assert_eq!(lines(&[b"\xff!"]), ["\u{fffd}!"]);
    }

    #[test]
    fn a_long_line_is_cut_before_the_token_that_the_cut_would_split() {
        let long = format!("{} secret1{}\nnext", "x ".repeat(500), "a1".repeat(5000));
        let (head, tail) = long.as_bytes().split_at(700);
        assert_eq!(lines(&[head, tail]), [format!("{} …", "x ".repeat(500)), "next".to_owned()]);
        assert_eq!(lines(&[&[b'a'; 5000]]), ["…"]);
    }

    #[test]
    fn tokens_are_masked() {
        let token = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(lines(&[format!("got {token}").as_bytes()]), ["got [masked]"]);
    }
}
