//! The connections of the servers, plain or by TLS. Nobody can take more of them than the process can bear, nor keep one without a word. The
//! certificate is read again every minute, as cert-manager and others renew it in place.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, error};

/// Longest handshake. Source: our choice: a silent one holds a place no longer.
const HANDSHAKE: Duration = Duration::from_secs(3);
/// Connections of a server at a time; more wait in the system's queue. Source: our choice: a scraper or two and the kubelet need one each, and
/// with TLS one costs some tens of KiB.
const PLACES: usize = 128;
/// How long a connection may be silent. Source: our choice: longer than a scrape's interval, so that it serves the next one.
const SILENCE: Duration = Duration::from_mins(2);
/// How often the files are read again. Source: our choice: as soon as the kubelet shows a Secret's change.
const READ_AGAIN: Duration = Duration::from_mins(1);
/// Errors of a connection that ended before it was taken.
const GONE: [io::ErrorKind; 3] =
    [io::ErrorKind::ConnectionRefused, io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset];
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

/// A connection that has one of the places until it ends, and ends when nothing was read for [`SILENCE`].
struct Placed<T> {
    stream: T,
    silent: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl<T> Placed<T> {
    fn boxed(stream: T, place: OwnedSemaphorePermit) -> Box<dyn Connection>
    where
        T: Connection + 'static,
    {
        Box::new(Self { stream, silent: Box::pin(sleep(SILENCE)), _place: place })
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Placed<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Pending => self.silent.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
            ready @ Poll::Ready(_) => {
                self.silent.as_mut().reset(Instant::now() + SILENCE);
                ready
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Placed<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

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
        Self::start(listener, |door| async move {
            while let Some((stream, peer, place)) = door.next().await {
                let _ = door.sender.send((Placed::boxed(stream, place), peer)).await;
            }
        })
    }

    /// Those of TLS, with the certificate in a folder, which has the files `tls.crt` and `tls.key`.
    pub fn tls(listener: TcpListener, folder: PathBuf) -> Result<Self, Certificate> {
        let acceptor = acceptor(&folder)?;
        Ok(Self::start(listener, |door| accept_tls(door, folder, acceptor)))
    }

    fn start<F: Future<Output = ()> + Send + 'static>(listener: TcpListener, accept: impl FnOnce(Door) -> F) -> Self {
        let address = listener.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
        let (sender, accepted) = mpsc::channel(1);
        tokio::spawn(accept(Door { listener, sender, places: Arc::new(Semaphore::new(PLACES)) }));
        Self { address, accepted }
    }
}

impl Listener for Connections {
    type Io = Box<dyn Connection>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> Accepted {
        if let Some(connection) = self.accepted.recv().await {
            return connection;
        }
        error!(address = %self.address, "nothing is accepted any more: this is a mistake in the operator");
        std::future::pending().await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// Where connections come in, and where they are handed on.
struct Door {
    listener: TcpListener,
    sender: mpsc::Sender<Accepted>,
    places: Arc<Semaphore>,
}

impl Door {
    /// The next connection with its place; nothing when nobody wants one any more.
    async fn next(&self) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.sender.closed() => return None,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => return Some((stream, peer, place)),
                // The peer has gone already.
                Err(error) if GONE.contains(&error.kind()) => {}
                Err(error) => {
                    error!(%error, "no connection can be taken now");
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

async fn accept_tls(door: Door, folder: PathBuf, mut acceptor: TlsAcceptor) {
    let mut read = Instant::now();
    while let Some((stream, peer, place)) = door.next().await {
        if read.elapsed() >= READ_AGAIN {
            read = Instant::now();
            match self::acceptor(&folder) {
                Ok(new) => acceptor = new,
                Err(error) => error!(%error, "the metrics are served with the certificate from before"),
            }
        }
        let (handshake, sender) = (acceptor.accept(stream), door.sender.clone());
        tokio::spawn(async move {
            match timeout(HANDSHAKE, handshake).await {
                Ok(Ok(stream)) => drop(sender.send((Placed::boxed(stream, place), peer)).await),
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
