//! The connections of the servers, plain or by TLS. The certificate is read again every minute, as cert-manager and others renew it in place; a
//! handshake that does not come to its end holds up nobody else.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, error};

/// Longest handshake. Source: our choice.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes at a time; more connections wait in the system's queue. Source: our choice: a scraper or two need one each.
const HANDSHAKES: usize = 16;
/// How often the files are read again. Source: our choice: as soon as the kubelet shows a Secret's change.
const READ_AGAIN: Duration = Duration::from_mins(1);
/// Pause after the system could not take a connection, mostly for want of file descriptors.
const PAUSE: Duration = Duration::from_secs(1);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum Certificate {
    /// A file is missing or holds no PEM of its kind.
    #[error("{path} cannot be read: {reason}; it must hold what the key {name} of a Secret of type kubernetes.io/tls does", name = file_name(.path))]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Certificate and key do not fit, or are of a kind that nobody serves with.
    #[error("the certificate in {folder} cannot be used: {reason}")]
    Unfit {
        /// Where they are.
        folder: PathBuf,
        /// What is wrong with them.
        reason: rustls::Error,
    },
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A connection, plain or not. One type for all servers, so that the HTTP server is in the program once.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// Accepts connections in a task of its own.
#[derive(Debug)]
pub struct Connections {
    address: SocketAddr,
    accepted: mpsc::Receiver<Accepted>,
}

type Accepted = (Box<dyn Connection>, SocketAddr);

impl Connections {
    /// Plain ones.
    pub fn plain(listener: TcpListener) -> Self {
        let address = address_of(&listener);
        let (sender, accepted) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Some((stream, peer)) = next(&listener, &sender).await {
                let _ = sender.send((Box::new(stream), peer)).await;
            }
        });
        Self { address, accepted }
    }

    /// Those of TLS, with the certificate in a folder, which has the files `tls.crt` and `tls.key`.
    pub fn tls(listener: TcpListener, folder: PathBuf) -> Result<Self, Certificate> {
        let acceptor = acceptor(&folder)?;
        let address = address_of(&listener);
        let (sender, accepted) = mpsc::channel(1);
        tokio::spawn(accept_tls(listener, folder, acceptor, sender));
        Ok(Self { address, accepted })
    }
}

fn address_of(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)))
}

impl Listener for Connections {
    type Io = Box<dyn Connection>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> Accepted {
        match self.accepted.recv().await {
            Some(connection) => connection,
            // The other end lives as long as this one.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// The next connection; nothing when nobody wants one any more.
async fn next(listener: &TcpListener, sender: &mpsc::Sender<Accepted>) -> Option<(TcpStream, SocketAddr)> {
    loop {
        tokio::select! {
            biased;
            () = sender.closed() => return None,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => return Some(accepted),
                Err(error) => {
                    debug!(%error, "a connection was not taken");
                    sleep(PAUSE).await;
                }
            },
        }
    }
}

async fn accept_tls(listener: TcpListener, folder: PathBuf, mut acceptor: TlsAcceptor, sender: mpsc::Sender<Accepted>) {
    let places = Arc::new(Semaphore::new(HANDSHAKES));
    let mut read = Instant::now();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Some((stream, peer)) = next(&listener, &sender).await else { return };
        if read.elapsed() >= READ_AGAIN {
            read = Instant::now();
            match self::acceptor(&folder) {
                Ok(new) => acceptor = new,
                Err(error) => error!(%error, "the metrics are served with the certificate from before"),
            }
        }
        let (handshake, sender) = (acceptor.accept(stream), sender.clone());
        tokio::spawn(async move {
            let _place = place;
            match timeout(HANDSHAKE, handshake).await {
                Ok(Ok(stream)) => drop(sender.send((Box::new(stream), peer)).await),
                Ok(Err(error)) => debug!(%peer, %error, "a handshake for the metrics failed"),
                Err(_) => debug!(%peer, "a handshake for the metrics took too long"),
            }
        });
    }
}

fn acceptor(folder: &Path) -> Result<TlsAcceptor, Certificate> {
    let wrong =
        |path: &Path, reason: &dyn ToString| Certificate::File { path: path.into(), reason: reason.to_string() };
    let (chain, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    let certificates = CertificateDer::pem_file_iter(&chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(&chain, &error))?;
    if certificates.is_empty() {
        return Err(wrong(&chain, &"it holds no certificate"));
    }
    let key = PrivateKeyDer::from_pem_file(&key).map_err(|error| wrong(&key, &error))?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|reason| Certificate::Unfit { folder: folder.into(), reason })?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
