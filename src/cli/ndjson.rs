//! JSON documents from one stream to another, one a line, in bounded memory.

use std::io::{self, BufRead, Write};

use serde_json::Value;

use crate::redaction::json::{self, ReadError};

/// The longest line, and the longest document that takes several lines.
pub(super) const BYTES_MAX: usize = 16 << 20;

/// Why a stream was not read to its end. Quotes nothing of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum StreamError {
    #[error("stdin cannot be read")]
    Read(#[source] io::Error),
    #[error("stdout cannot be written")]
    Write(#[source] io::Error),
    #[error("line {0} is not JSON")]
    NotJson(usize),
    #[error("line {0} makes a document of more than {max} MiB", max = BYTES_MAX >> 20)]
    TooLong(usize),
    #[error("line {0} holds a number of more digits than this program can keep; put it in quotes")]
    InexactNumber(usize),
}

/// Hands every document of `input` to `change`, with the line that it begins on, and writes it to `output`: one a line,
/// without spaces. Blank lines are left out. A document of several lines must be the only one.
///
/// # Errors
/// At the first line that is no JSON; the documents before it are written.
pub(super) fn each(
    mut input: impl BufRead,
    mut output: impl Write,
    mut change: impl FnMut(usize, &mut Value),
) -> Result<(), StreamError> {
    let mut line = Vec::new();
    let (mut number, mut seen) = (0, false);
    let result = loop {
        line.clear();
        number += 1;
        match read_until(&mut input, &mut line, number, |byte| byte == b'\n') {
            Err(error) => break Err(error),
            Ok(()) if line.is_empty() => break Ok(()),
            Ok(()) => {}
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let read = match json::read(&line) {
            Err(ReadError::NotJson { is_cut_short: true, .. }) if !seen => {
                read_until(&mut input, &mut line, number, |_| false).and_then(|()| document(&line, number))
            }
            _ => document(&line, number),
        };
        seen = true;
        let written = read.and_then(|mut value| {
            change(number, &mut value);
            serde_json::to_writer(&mut output, &value).map_err(|error| StreamError::Write(error.into()))?;
            output.write_all(b"\n").map_err(StreamError::Write)
        });
        if written.is_err() {
            break written;
        }
    };
    // What was masked before an error is good: it is not held back.
    output.flush().map_err(StreamError::Write).and(result)
}

fn document(text: &[u8], line: usize) -> Result<Value, StreamError> {
    // The end of a line belongs to that line.
    json::read(text.trim_ascii_end()).map_err(|error| match error {
        ReadError::NotJson { line: within, .. } => StreamError::NotJson(line + within - 1),
        ReadError::InexactNumber => StreamError::InexactNumber(line),
    })
}

/// Appends what comes next, up to and with the first byte that ends it; nothing at the end of the stream.
fn read_until(
    input: &mut impl BufRead,
    into: &mut Vec<u8>,
    line: usize,
    ends: impl Fn(u8) -> bool,
) -> Result<(), StreamError> {
    loop {
        let available = match input.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(StreamError::Read(error)),
        };
        let end = available.iter().position(|&byte| ends(byte));
        let taken = end.map_or(available.len(), |at| at + 1);
        if into.len() + taken > BYTES_MAX {
            return Err(StreamError::TooLong(line));
        }
        into.extend_from_slice(&available[..taken]);
        input.consume(taken);
        if end.is_some() || taken == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written, the lines that documents began on, and how it ended.
    fn through(input: &[u8]) -> (String, Vec<usize>, Result<(), String>) {
        let (mut output, mut lines) = (Vec::new(), Vec::new());
        // A tiny buffer: lines come in pieces.
        let input = io::BufReader::with_capacity(3, input);
        let result = each(input, &mut output, |line, _| lines.push(line));
        (String::from_utf8(output).unwrap(), lines, result.map_err(|error| error.to_string()))
    }

    #[test]
    fn every_line_is_a_document() {
        let (output, lines, result) = through(b"{\"b\": 1, \"a\":2}\r\n\n  \n[1]\n\"x\"");
        assert_eq!((output.as_str(), lines, result), ("{\"a\":2,\"b\":1}\n[1]\n\"x\"\n", vec![1, 4, 5], Ok(())));
        assert_eq!(through(b""), (String::new(), vec![], Ok(())));
    }

    #[test]
    fn one_document_may_take_many_lines() {
        let (output, lines, result) = through(b"\n{\n  \"a\": [\n1 ]\n}\n\n");
        assert_eq!((output.as_str(), lines, result), ("{\"a\":[1]}\n", vec![2], Ok(())));
    }

    #[test]
    fn a_line_that_is_no_json_is_named_and_what_came_before_is_written() {
        for (input, output, problem) in [
            (&b"1\n2 john@example.com\n3\n"[..], "1\n", "line 2 is not JSON"),
            (b"1\n{\"a\":\n}\n", "1\n", "line 2 is not JSON"),
            (b"\n{\"a\":1,\n\"b\"\n}\n", "", "line 4 is not JSON"),
            (b"{\n\"a\":1}\n{}\n", "", "line 3 is not JSON"),
            (b"{\"a\":\n", "", "line 1 is not JSON"),
            (b"1\n\"\xff\"\n", "1\n", "line 2 is not JSON"),
            (
                b"1\n18446744073709551616\n",
                "1\n",
                "line 2 holds a number of more digits than this program can keep; put it in quotes",
            ),
        ] {
            let (written, _, result) = through(input);
            assert_eq!((written.as_str(), result), (output, Err(problem.to_owned())));
        }
    }

    #[test]
    fn a_line_without_end_is_refused_in_bounded_memory() {
        let endless = io::BufReader::new(io::repeat(b'1'));
        let error = each(endless, io::sink(), |_, _| panic!("a document was read")).unwrap_err();
        assert!(matches!(error, StreamError::TooLong(1)), "{error}");
        let endless = io::BufReader::new(io::Read::chain(&b"{\n"[..], io::repeat(b'\n')));
        assert!(matches!(each(endless, io::sink(), |_, _| ()), Err(StreamError::TooLong(1))));
    }
}
