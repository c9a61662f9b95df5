//! TLS for the metrics server. The certificate is read again every minute, as cert-manager and others renew it in place; a handshake that
//! does not come to its end holds up nobody else.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
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

/// Accepts TLS connections with the certificate in a folder, which has the files `tls.crt` and `tls.key`.
#[derive(Debug)]
pub struct TlsListener {
    address: SocketAddr,
    connections: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

impl TlsListener {
    /// Reads the certificate and begins to accept.
    pub fn start(listener: TcpListener, folder: PathBuf) -> Result<Self, Certificate> {
        let acceptor = acceptor(&folder)?;
        let address = listener.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
        let (sender, connections) = mpsc::channel(1);
        tokio::spawn(accept(listener, folder, acceptor, sender));
        Ok(Self { address, connections })
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.connections.recv().await {
            Some(connection) => connection,
            // The other end lives as long as this one.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}

async fn accept(
    listener: TcpListener,
    folder: PathBuf,
    mut acceptor: TlsAcceptor,
    sender: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let places = Arc::new(Semaphore::new(HANDSHAKES));
    let mut read = Instant::now();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (stream, peer) = tokio::select! {
            biased;
            () = sender.closed() => return,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    debug!(%error, "a connection to the metrics was not taken");
                    sleep(PAUSE).await;
                    continue;
                }
            },
        };
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
                Ok(Ok(stream)) => drop(sender.send((stream, peer)).await),
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
