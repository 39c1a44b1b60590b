//! Connections that leave HTTP: once a WebSocket's handshake is answered, a connection is its socket, its handler's body and what the
//! kernel has not taken yet, and nothing else.
//!
//! What lives here: taking the socket from the HTTP server, answering the handshake, moving bytes both ways. What must not: frames (the
//! handlers' bodies and payloads have them), or who may come in.
//!
//! The HTTP server would keep its read and write buffers, 16 KB and more, and the state of a request for as long as the WebSocket lives,
//! and copy every frame once more.

use std::cell::{OnceCell, RefCell};
use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_codec::{Encoder, Framed};
use actix_http::body::{BoxBody, MessageBody};
use actix_http::h1::{Codec, Message};
use actix_http::{BoxedPayloadStream, ConnectionType, Request, Response, StatusCode};
use actix_web::dev::{AppConfig, Payload, Service, ServiceFactory, fn_factory, fn_service};
use actix_web::error::PayloadError;
use actix_web::rt;
use actix_web::rt::net::TcpStream;
use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use tokio::time::timeout;

/// Bytes read at once; one buffer a thread, however many connections it has.
const READ_AT_ONCE: usize = 16 * 1024;
/// An answer of this many bytes and more is written in pieces.
const WRITE_ENOUGH: usize = 32 * 1024;
/// Chunks written in one turn; then others have theirs.
const CHUNKS_A_TURN: usize = 16;
/// How long what a refused client still sends is read, so that the refusal is not lost with a reset.
const LINGER: Duration = Duration::from_secs(1);

thread_local! {
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_AT_ONCE].into());
}

/// What a client sends after its request's head.
struct Incoming {
    socket: Rc<TcpStream>,
    /// What came with the head.
    early: Bytes,
}

impl Stream for Incoming {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.early.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.early))));
        }
        loop {
            if ready!(self.socket.poll_read_ready(cx)).is_err() {
                return Poll::Ready(None);
            }
            let read = READ.with_borrow_mut(|buffer| {
                let read = self.socket.try_read(buffer)?;
                Ok::<_, io::Error>(Bytes::copy_from_slice(buffer.get(..read).unwrap_or_default()))
            });
            match read {
                Ok(bytes) if bytes.is_empty() => return Poll::Ready(None),
                Ok(bytes) => return Poll::Ready(Some(Ok(bytes))),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // A connection that broke says no more than one that ended.
                Err(_) => return Poll::Ready(None),
            }
        }
    }
}

/// What one worker has of an application: made for the HTTP server, called for upgrades too.
pub type Made<S> = Rc<OnceCell<Rc<S>>>;

/// An application for the HTTP server, which others find in `made`.
pub fn application<F>(
    factory: F,
    made: Made<F::Service>,
) -> impl ServiceFactory<
    Request,
    Config = (),
    Response = F::Response,
    Error = F::Error,
    InitError = F::InitError,
    Service = Rc<F::Service>,
>
where
    F: ServiceFactory<Request, Config = AppConfig>,
    F::Future: 'static,
    F::Service: 'static,
{
    fn_factory(move || {
        let (service, made) = (factory.new_service(AppConfig::default()), Rc::clone(&made));
        async move { service.await.map(|service| Rc::clone(made.get_or_init(|| Rc::new(service)))) }
    })
}

/// What takes the connections of this application that are upgraded.
pub fn upgrades<S, B>(
    made: Made<S>,
) -> impl ServiceFactory<Upgrading, Config = (), Response = (), Error = Infallible, InitError = (), Future: 'static>
where
    S: Service<Request> + 'static,
    S::Response: Into<Response<B>>,
    S::Error: Into<Response<BoxBody>>,
    B: MessageBody + 'static,
{
    fn_service(move |(request, framed): Upgrading| {
        let app = made.get().map(Rc::clone);
        async move {
            // It is made before the first connection is taken.
            if let Some(app) = app {
                take(app, request, framed).await;
            }
            Ok(())
        }
    })
}

/// A request that asks for an upgrade, and the connection that it came on.
pub type Upgrading = (Request, Framed<TcpStream, Codec>);

/// Answers a request for an upgrade as the application says, and carries the connection from there on, in a task of its own: the HTTP
/// server's is far larger. A connection that breaks has ended.
async fn take<S, B>(app: Rc<S>, request: Request, framed: Framed<TcpStream, Codec>)
where
    S: Service<Request>,
    S::Response: Into<Response<B>>,
    S::Error: Into<Response<BoxBody>>,
    B: MessageBody + 'static,
{
    let parts = framed.into_parts();
    let (socket, mut codec) = (Rc::new(parts.io), parts.codec);
    // Copied, for the buffer that it is a part of is large.
    let early = Bytes::copy_from_slice(&parts.read_buf);
    let incoming: BoxedPayloadStream = Box::pin(Incoming { socket: Rc::clone(&socket), early });
    let (request, _) = request.replace_payload(Payload::Stream { payload: incoming });
    drop((parts.read_buf, parts.write_buf));
    let response: Response<BoxBody> = match app.call(request).await {
        Ok(response) => response.into().map_into_boxed_body(),
        Err(error) => error.into(),
    };
    let (mut head, mut body) = response.into_parts();
    let upgraded = head.status() == StatusCode::SWITCHING_PROTOCOLS;
    if !upgraded {
        head.head_mut().set_connection_type(ConnectionType::Close);
    }
    let mut answer = BytesMut::new();
    if codec.encode(Message::Item((head, body.size())), &mut answer).is_err() {
        return;
    }
    if upgraded {
        // What there is to say at once goes out with the answer, in one segment.
        match poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_next(cx))).await {
            Poll::Ready(Some(Ok(chunk))) => answer.extend_from_slice(&chunk),
            Poll::Ready(Some(Err(_)) | None) => body = BoxBody::new(()),
            Poll::Pending => {}
        }
        rt::spawn(Carried { socket, body, waiting: answer.freeze() });
    } else if write_whole(&socket, codec, answer, body).await.is_ok() {
        end(&socket);
        let mut rest = Incoming { socket, early: Bytes::new() };
        drop(timeout(LINGER, async { while rest.next().await.is_some() {} }).await);
    }
}

/// Writes an answer that is no upgrade: what is small in one piece, as clients expect it.
async fn write_whole(socket: &TcpStream, mut codec: Codec, mut answer: BytesMut, mut body: BoxBody) -> io::Result<()> {
    while let Some(chunk) = poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await {
        codec.encode(Message::Chunk(Some(chunk.map_err(|_| ErrorKind::Other)?)), &mut answer)?;
        if answer.len() >= WRITE_ENOUGH {
            write(socket, &answer).await?;
            answer.clear();
        }
    }
    codec.encode(Message::Chunk(None), &mut answer)?;
    write(socket, &answer).await
}

async fn write(socket: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = poll_fn(|cx| poll_write(socket, bytes, cx)).await?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

/// Hands bytes to the kernel, as many as it takes.
fn poll_write(socket: &TcpStream, bytes: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    loop {
        match socket.try_write(bytes) {
            Ok(0) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
            Err(error) if error.kind() == ErrorKind::WouldBlock => ready!(socket.poll_write_ready(cx))?,
            done => return Poll::Ready(done),
        }
    }
}

/// Says that nothing more comes. The peer may have gone already.
fn end(socket: &TcpStream) {
    drop(socket2::SockRef::from(socket).shutdown(Shutdown::Write));
}

/// A connection that has left HTTP. Its body is asked for more only when the kernel has taken what it gave before.
struct Carried {
    socket: Rc<TcpStream>,
    body: BoxBody,
    waiting: Bytes,
}

impl Carried {
    /// Goes on until there is nothing more to write, now or ever.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        for _ in 0..CHUNKS_A_TURN {
            while !self.waiting.is_empty() {
                let Poll::Ready(written) = poll_write(&self.socket, &self.waiting, cx)? else {
                    // Whoever reads slowly keeps what is left of a chunk, not the buffer that it is a part of.
                    if !self.waiting.is_unique() {
                        self.waiting = Bytes::copy_from_slice(&self.waiting);
                    }
                    return Poll::Pending;
                };
                self.waiting.advance(written);
            }
            // What was written is let go, also where nothing follows.
            self.waiting = Bytes::new();
            match ready!(Pin::new(&mut self.body).poll_next(cx)) {
                Some(Ok(chunk)) => self.waiting = chunk,
                Some(Err(_)) | None => return Poll::Ready(Ok(())),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Future for Carried {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if ready!(self.poll_body(cx)).is_ok() {
            end(&self.socket);
        }
        Poll::Ready(())
    }
}
