//! A raw socket on loopback that answers well, badly or not at all, and counts what arrives.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the other side does with a connection.
#[derive(Clone)]
pub enum Manner {
    /// Closes before it has read anything.
    CloseAtOnce,
    /// Lets the request arrive and resets without reading it.
    Reset,
    /// Writes these bytes before it has read anything, and waits for the end.
    Greet(Vec<u8>),
    /// Reads the request and closes.
    CloseAfterRequest,
    /// Reads the request and says nothing.
    Silence,
    /// Reads the request, writes these bytes and closes.
    Say(Vec<u8>),
    /// Reads the request, writes these bytes, and then the filler for ever.
    SayForEver(Vec<u8>, Vec<u8>),
    /// Reads the request and answers, keeping the connection open for the next one.
    KeepAlive(Vec<u8>),
}

/// A listening socket that treats every connection in one manner.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// Who has connected, in order.
    peers: Arc<Mutex<Vec<SocketAddr>>>,
    requests: Arc<AtomicUsize>,
}

impl Server {
    /// Listens on a free port.
    pub async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let server = Self { address: listener.local_addr().unwrap(), peers: Arc::default(), requests: Arc::default() };
        let (peers, requests) = (Arc::clone(&server.peers), Arc::clone(&server.requests));
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                peers.lock().unwrap().push(peer);
                tokio::spawn(serve(stream, manner.clone(), Arc::clone(&requests)));
            }
        });
        server
    }

    /// Its address as plain HTTP.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Connections so far. One of our own goes last and is waited for, so that none before it is missed.
    pub async fn connections(&self) -> usize {
        let probe = TcpStream::connect(self.address).await.unwrap();
        let ours = probe.local_addr().unwrap();
        loop {
            {
                let mut peers = self.peers.lock().unwrap();
                if let Some(place) = peers.iter().position(|peer| *peer == ours) {
                    peers.remove(place);
                    return place;
                }
            }
            tokio::task::yield_now().await;
        }
    }

    /// Whole requests so far.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, manner: Manner, requests: Arc<AtomicUsize>) {
    match &manner {
        Manner::CloseAtOnce => return,
        Manner::Reset => {
            // Closing with unread bytes makes the kernel answer with a reset.
            let mut first = [0; 1];
            let _ = stream.peek(&mut first).await;
            return;
        }
        Manner::Greet(bytes) => {
            let _ = stream.write_all(bytes).await;
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            return;
        }
        _ => {}
    }
    while read_request(&mut stream).await.is_some() {
        requests.fetch_add(1, Ordering::SeqCst);
        match &manner {
            Manner::Silence => std::future::pending::<()>().await,
            Manner::Say(bytes) => {
                let _ = stream.write_all(bytes).await;
                return;
            }
            Manner::SayForEver(bytes, filler) => {
                let _ = stream.write_all(bytes).await;
                while stream.write_all(filler).await.is_ok() {}
                return;
            }
            Manner::KeepAlive(bytes) => {
                let _ = stream.write_all(bytes).await;
            }
            _ => return,
        }
    }
}

/// Head and body of one request; none when the other side has closed.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut byte = [0; 1];
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).await.ok()? == 0 {
            return None;
        }
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).ok()?.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    Some(head)
}

/// A whole HTTP answer.
pub fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n{body}").into_bytes()
}
