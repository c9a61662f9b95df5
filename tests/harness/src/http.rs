//! The least HTTP client that the harness needs: plain HTTP on loopback, one request per
//! connection, for the stand-in cloud's own pages and the operator's probes and metrics.
//! Must not be used for anything that leaves this machine.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest wait for a connection, and for each read and write. Our choice: these servers answer in
/// milliseconds, and a stuck one shall not hang a test for long.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Body as text.
    pub body: String,
}

/// Sends one request to `http://127.0.0.1:port`. The error says what failed, in words.
///
/// HTTP/1.0, so that the answer ends with the connection and is never chunked.
pub fn request(port: u16, method: &str, path: &str, body: &str) -> Result<Answer, String> {
    let exchange = || -> std::io::Result<Vec<u8>> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    let bytes = exchange().map_err(|error| format!("{method} {path} on port {port}: {error}"))?;
    parse(&String::from_utf8_lossy(&bytes)).ok_or_else(|| format!("{method} {path} on port {port}: no HTTP answer"))
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_status_and_body() {
        let answer = parse("HTTP/1.0 404 Not Found\r\nA: b\r\n\r\n{\"a\":\r\n\r\n1}").unwrap();
        assert_eq!(answer.status, 404);
        assert_eq!(answer.body, "{\"a\":\r\n\r\n1}");
        assert!(parse("nonsense").is_none());
    }
}
