//! A listener that can be taken down and brought up again on its port, and connections that can be cut.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use anyhow::Context as _;
use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;

/// One door: an address that stays, and a server that comes and goes.
#[derive(Debug)]
pub(crate) struct Door {
    address: SocketAddr,
    router: Router,
    serving: Mutex<Option<CancellationToken>>,
    tasks: TaskTracker,
}

/// The connection of a request; cutting it loses whatever answer was under way.
#[derive(Debug, Clone)]
pub(crate) struct Connection(CancellationToken);

impl Connection {
    pub(crate) fn cut(&self) {
        self.0.cancel();
    }
}

/// Binds a port on the loopback interface; zero lets the operating system choose.
pub(crate) async fn bind(port: u16) -> anyhow::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", port)).await.with_context(|| format!("port {port} of 127.0.0.1 cannot be bound"))
}

impl Door {
    /// Serves a bound listener.
    pub(crate) fn open(listener: TcpListener, router: Router, tasks: TaskTracker) -> io::Result<Self> {
        let door = Self { address: listener.local_addr()?, router, serving: Mutex::new(None), tasks };
        door.serve(listener);
        Ok(door)
    }

    /// Refuses connections from now on and closes the open ones.
    pub(crate) fn take_down(&self) {
        if let Some(stop) = self.serving.lock().unwrap_or_else(PoisonError::into_inner).take() {
            stop.cancel();
        }
    }

    /// Listens again on the same port; does nothing when it never stopped.
    pub(crate) async fn bring_up(&self) -> anyhow::Result<()> {
        if self.serving.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Ok(());
        }
        self.serve(bind(self.address.port()).await?);
        Ok(())
    }

    fn serve(&self, listener: TcpListener) {
        let stop = CancellationToken::new();
        let listener = ClosableListener { inner: listener, stop: stop.clone() };
        let service = self.router.clone().into_make_service_with_connect_info::<Connection>();
        let stopped = stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                _ = axum::serve(listener, service) => {}
            }
        });
        *self.serving.lock().unwrap_or_else(PoisonError::into_inner) = Some(stop);
    }
}

/// Hands out connections that end when the listener does.
struct ClosableListener {
    inner: TcpListener,
    stop: CancellationToken,
}

impl Listener for ClosableListener {
    type Io = ClosableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = Listener::accept(&mut self.inner).await;
        let _ = stream.set_nodelay(true);
        let cut = self.stop.child_token();
        (ClosableStream { inner: stream, cut: cut.clone(), waiting: Box::pin(cut.cancelled_owned()) }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.inner.local_addr()
    }
}

/// A stream that fails as soon as its connection is cut.
struct ClosableStream {
    inner: TcpStream,
    cut: CancellationToken,
    waiting: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Connected<IncomingStream<'_, ClosableListener>> for Connection {
    fn connect_info(stream: IncomingStream<'_, ClosableListener>) -> Self {
        Self(stream.io().cut.clone())
    }
}

impl ClosableStream {
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.waiting.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for ClosableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl AsyncWrite for ClosableStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
