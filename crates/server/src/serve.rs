//! Listening: TCP for everybody, a socket in the data directory for whoever owns it, and the signals that end it.

use crate::connections;
use axum::Router;
use rustix::net::sockopt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use synapscale_api::Peer;
use synapscale_core::{Error, Result, new_id};
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Longest path of a socket, in bytes; the kernel's own bound is 107.
const MAX_SOCKET_PATH: usize = 100;

/// Where requests come in.
#[derive(Debug)]
pub struct Listeners {
    /// For everybody.
    pub tcp: TcpListener,
    /// For this machine's owner of the data.
    pub unix: Option<LocalSocket>,
}

/// The local socket. Its file goes when it is dropped.
#[derive(Debug)]
pub struct LocalSocket {
    listener: Option<UnixListener>,
    path: PathBuf,
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        // Gone already is gone, too.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Listeners {
    /// Listens at `address`, and at the socket `path` if one is wanted. Without the socket the server still serves.
    ///
    /// # Errors
    /// `listen` when the address cannot be had.
    pub async fn bind(address: SocketAddr, path: Option<&Path>) -> Result<Self> {
        let taken = |error: io::Error| Error::unavailable("listen", format!("{address}: {error}"));
        let tcp = TcpListener::bind(address).await.map_err(taken)?;
        // Accepted connections inherit it: small answers must not wait for more to send.
        if let Err(error) = sockopt::set_tcp_nodelay(&tcp, true) {
            tracing::debug!(%error, "TCP_NODELAY is not set");
        }
        let unix = path.and_then(|path| match bind_local(path) {
            Ok(socket) => Some(socket),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "no local socket: `admin` commands need the server stopped");
                None
            }
        });
        Ok(Listeners { tcp, unix })
    }

    /// The address listened at, with its port.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> Result<SocketAddr> {
        self.tcp.local_addr().map_err(Error::internal)
    }
}

/// The socket is made where nobody else can look, given its mode, and only then put in its place.
fn bind_local(path: &Path) -> io::Result<LocalSocket> {
    if UnixStream::connect(path).is_ok() {
        return Err(io::Error::other("another server answers there"));
    }
    let parent = path.parent().unwrap_or(Path::new("."));
    let id = new_id().simple().to_string();
    // The end of such an id is random; the beginning is the time.
    let folder = parent.join(format!(".s{}", id.get(26..).unwrap_or_default()));
    let made = folder.join("s");
    if made.as_os_str().len() > MAX_SOCKET_PATH || path.as_os_str().len() > MAX_SOCKET_PATH {
        return Err(io::Error::other(
            "the data directory's path is too long for a socket",
        ));
    }
    std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
    let placed = UnixListener::bind(&made).and_then(|listener| {
        std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&made, path)?;
        Ok(listener)
    });
    let _ = std::fs::remove_file(&made);
    let _ = std::fs::remove_dir(&folder);
    Ok(LocalSocket {
        listener: Some(placed?),
        path: path.to_owned(),
    })
}

/// Serves `router` over TCP until `stop`, then until the requests under way are answered.
pub(crate) async fn serve_tcp(listener: TcpListener, router: Router, stop: CancellationToken) -> Result<()> {
    connections::serve(listener, router, stop).await;
    Ok(())
}

/// As [`serve_tcp`], over the local socket; waits for `stop` when there is none.
pub(crate) async fn serve_unix(
    socket: Option<LocalSocket>,
    router: Router,
    stop: CancellationToken,
) -> Result<()> {
    let Some(mut socket) = socket else {
        stop.cancelled().await;
        return Ok(());
    };
    let Some(listener) = socket.listener.take() else {
        return Ok(());
    };
    axum::serve(listener, router.into_make_service_with_connect_info::<Peer>())
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
        .map_err(Error::internal)
}

/// The signals that ask a process to stop.
pub struct StopSignals {
    term: Signal,
    int: Signal,
}

impl StopSignals {
    /// From now on the signals come here.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen() -> Result<Self> {
        Ok(StopSignals {
            term: signal(SignalKind::terminate()).map_err(Error::internal)?,
            int: signal(SignalKind::interrupt()).map_err(Error::internal)?,
        })
    }

    /// The next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}
