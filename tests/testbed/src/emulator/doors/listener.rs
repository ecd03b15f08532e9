//! A listener that can be taken down and brought up again on its port, and connections that can be cut.

use std::future::IntoFuture as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use anyhow::Context as _;
use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// One door: an address that stays, and a server that comes and goes.
#[derive(Debug)]
pub(crate) struct Door {
    router: Router,
    server: Mutex<Option<Server>>,
    tasks: TaskTracker,
}

/// A running or stopping server. When it has stopped it hands over a socket that keeps the port from others, bound but not
/// listening, so that connections are refused.
#[derive(Debug)]
struct Server {
    stop: CancellationToken,
    reserved: JoinHandle<io::Result<TcpSocket>>,
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
        let door = Self { router, server: Mutex::new(None), tasks };
        door.serve(listener)?;
        Ok(door)
    }

    /// Refuses connections from now on and closes the open ones.
    pub(crate) fn take_down(&self) {
        if let Some(server) = self.server().as_ref() {
            server.stop.cancel();
        }
    }

    /// Listens again on the same port; does nothing when it never stopped.
    pub(crate) async fn bring_up(&self) -> anyhow::Result<()> {
        let stopped = self.server().take_if(|server| server.stop.is_cancelled());
        let Some(server) = stopped else { return Ok(()) };
        let socket = server.reserved.await.context("the door's server has failed")?;
        let listener = socket.and_then(|socket| socket.listen(BACKLOG)).context("the door's port is taken")?;
        Ok(self.serve(listener)?)
    }

    fn serve(&self, listener: TcpListener) -> io::Result<()> {
        let (address, stop) = (listener.local_addr()?, CancellationToken::new());
        let listener = ClosableListener { inner: listener, stop: stop.clone() };
        let service = self.router.clone().into_make_service_with_connect_info::<Connection>();
        let stopped = stop.clone();
        let reserved = self.tasks.spawn(async move {
            let serving = axum::serve(listener, service).into_future();
            // ends only when stopped, and drops the listener then
            let _ = stopped.run_until_cancelled_owned(serving).await;
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            Ok(socket)
        });
        *self.server() = Some(Server { stop, reserved });
        Ok(())
    }

    fn server(&self) -> MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
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
