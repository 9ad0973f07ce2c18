//! Requests whose end can be read in two ways: with both Content-Length and Transfer-Encoding, a proxy and a server may
//! take two different parts of the stream for the next request (RFC 9112, section 6.1). hyper obeys the one, drops the
//! other and closes; we refuse, and have to look at the bytes ourselves, since hyper does not tell.
//!
//! And requests that are refused before their end was read: their connections close, which is told.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use axum::{
    extract::Request,
    http::{HeaderValue, Version, header::CONNECTION},
    middleware::Next,
    response::{IntoResponse, Response},
};
use contracts::problem::ProblemCode;
use hyper::body::Body as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::problem::Problem;

/// As much of a line as its header's name takes.
const LINE_BYTES_MAX: usize = "transfer-encoding:".len();

/// Marks a request that came on a connection with an ambiguous head.
#[derive(Debug, Clone, Copy)]
pub struct Ambiguous;

/// Refuses a request that is marked, and closes its connection.
pub async fn refuse_ambiguous(request: Request, next: Next) -> Response {
    if request.extensions().get::<Ambiguous>().is_none() {
        return next.run(request).await;
    }
    let detail = "a request has a Content-Length or a Transfer-Encoding, not both";
    let mut response = Problem::new(ProblemCode::Malformed, detail).into_response();
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// What of a body hyper still reads when the answer is written already; of a longer one it reads no more, and closes.
const READ_ON_BYTES: u64 = 8 * 1024;

/// Says with a refusal that its connection closes, where hyper may close it because it has not read the body: a client that is not
/// told sends its next request there and gets no answer.
pub async fn tell_of_the_close(request: Request, next: Next) -> Response {
    let is_short = request.body().size_hint().exact().is_some_and(|bytes| bytes <= READ_ON_BYTES);
    let may_close = !is_short && request.version() != Version::HTTP_2;
    let mut response = next.run(request).await;
    if may_close && !response.status().is_success() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A stream that looks for ambiguous heads in what is read.
#[derive(Debug)]
pub struct Watched<S> {
    stream: S,
    scanner: Scanner,
    ambiguous: Arc<AtomicBool>,
}

impl<S> Watched<S> {
    /// The stream, and a flag that is raised when an ambiguous head was read, before anybody acts on it.
    pub fn new(stream: S) -> (Self, Arc<AtomicBool>) {
        let ambiguous = Arc::new(AtomicBool::new(false));
        (Self { stream, scanner: Scanner::default(), ambiguous: ambiguous.clone() }, ambiguous)
    }
}

/// Looks at lines, and knows no more of HTTP than that an empty one ends a head. A body is looked at as well, which does
/// no harm: JSON with two bare lines of this form is no JSON.
#[derive(Debug, Default)]
struct Scanner {
    line: Vec<u8>,
    has_length: bool,
    has_encoding: bool,
}

impl Scanner {
    /// Whether a head with both headers was among the bytes, or ended or went on in them.
    fn sees_both(&mut self, bytes: &[u8]) -> bool {
        let mut both = false;
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let room = LINE_BYTES_MAX - self.line.len();
            self.line.extend(piece.iter().take(room).map(u8::to_ascii_lowercase));
            if piece.ends_with(b"\n") {
                self.end_line();
                both |= self.has_length && self.has_encoding;
            }
        }
        both
    }

    fn end_line(&mut self) {
        let is_empty = self.line == b"\n" || self.line == b"\r\n";
        self.has_length = !is_empty && (self.has_length || self.line.starts_with(b"content-length:"));
        self.has_encoding = !is_empty && (self.has_encoding || self.line.starts_with(b"transfer-encoding:"));
        self.line.clear();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if self.scanner.sees_both(&buf.filled()[before..]) {
            self.ambiguous.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sees_both(bytes: &[u8], read_at_once: usize) -> bool {
        let mut scanner = Scanner::default();
        bytes.chunks(read_at_once).any(|bytes| scanner.sees_both(bytes))
    }

    #[test]
    fn both_headers_in_one_head_are_seen_however_the_bytes_come() {
        let ambiguous: [&[u8]; 3] = [
            b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"POST / HTTP/1.1\r\ntransfer-encoding:chunked\r\nhost: a\r\nCONTENT-LENGTH:3\r\n\r\n",
            b"GET / HTTP/1.1\n\nPOST / HTTP/1.1\nContent-Length: 3\nTransfer-Encoding: chunked\n\n",
        ];
        let clear: [&[u8]; 3] = [
            b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"POST / HTTP/1.1\r\nX-Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"POST / HTTP/1.1\r\nNote: Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        ];
        for read_at_once in [1, 2, 7, 1000] {
            for bytes in ambiguous {
                assert!(sees_both(bytes, read_at_once), "{}", bytes.escape_ascii());
            }
            for bytes in clear {
                assert!(!sees_both(bytes, read_at_once), "{}", bytes.escape_ascii());
            }
        }
    }

    mod fuzz {
        use super::*;

        #[test]
        fn how_the_bytes_come_does_not_matter_and_both_are_seen_where_whole_lines_show_them() {
            let examples = [
                "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
                "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
                "GET / HTTP/1.1\n\ntransfer-encoding:\ncontent-length:",
            ];
            fuzzing::target!("framing", &examples, |bytes| {
                let (mut length, mut encoding, mut both) = (false, false, false);
                for line in bytes.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n")) {
                    let line = line.to_ascii_lowercase();
                    if [b"\n".as_slice(), b"\r\n"].contains(&line.as_slice()) {
                        (length, encoding) = (false, false);
                    }
                    length |= line.starts_with(b"content-length:");
                    encoding |= line.starts_with(b"transfer-encoding:");
                    both |= length && encoding;
                }
                for read_at_once in [1, 2, 3, 17, 18, 19, 4096] {
                    assert_eq!(sees_both(bytes, read_at_once), both, "{read_at_once} bytes at once");
                }
            });
        }
    }
}
