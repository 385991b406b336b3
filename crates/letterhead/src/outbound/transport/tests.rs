//! TLS and HTTP/2, against a server with a certificate of its own authority.

mod goaway;

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::super::{Answer, ConnectReason, SystemResolver};
use super::*;

/// A server for `localhost` that speaks HTTP/2 alone.
struct Server {
    at: SocketAddr,
    roots: RootCertStore,
    connections: Arc<AtomicUsize>,
    /// The methods and bodies that came, and why those were reset that wait.
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers every request with `hello`, but the first ones with these resets, and `wait` not at all.
    async fn start(resets: impl IntoIterator<Item = h2::Reason>) -> Self {
        Self::certified(resets, certified(4096)).await
    }

    async fn certified(
        resets: impl IntoIterator<Item = h2::Reason>,
        (acceptor, roots): (TlsAcceptor, RootCertStore),
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (connections, seen) = <(Arc<AtomicUsize>, Arc<Mutex<Vec<String>>>)>::default();
        let resets = Arc::new(Mutex::new(resets.into_iter().collect::<Vec<_>>()));
        let (counted, noted) = (Arc::clone(&connections), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(stream) = acceptor.accept(stream).await {
                    counted.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(serve(stream, Arc::clone(&resets), Arc::clone(&noted)));
                }
            }
        });
        Self { at, roots, connections, seen }
    }

    async fn saw(&self, count: usize) {
        while self.seen.lock().unwrap().len() < count {
            tokio::task::yield_now().await;
        }
    }
}

/// A server's side of TLS, HTTP/2 agreed on, with a certificate for `localhost` that ends with this year's first day; and
/// what a client has to trust.
fn certified(until: i32) -> (TlsAcceptor, RootCertStore) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut certificate = CertificateParams::new(["localhost".to_owned()]).unwrap();
    certificate.not_after = rcgen::date_time_ymd(until, 1, 1);
    let certificate = certificate.signed_by(&key, &authority).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();

    let mut tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    (TlsAcceptor::from(Arc::new(tls)), roots)
}

fn trusting(roots: RootCertStore) -> Transport {
    let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let resolver = CheckedResolver { resolver: Arc::new(SystemResolver), allow: None };
    Transport::with_tls(Duration::from_secs(10), resolver, tls)
}

fn uri(host: &str, at: SocketAddr) -> Uri {
    format!("https://{host}:{}/", at.port()).parse().unwrap()
}

async fn serve(
    stream: TlsStream<tokio::net::TcpStream>,
    resets: Arc<Mutex<Vec<h2::Reason>>>,
    seen: Arc<Mutex<Vec<String>>>,
) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let reset = {
            let mut resets = resets.lock().unwrap();
            (!resets.is_empty()).then(|| resets.remove(0))
        };
        if let Some(reason) = reset {
            respond.send_reset(reason);
            continue;
        }
        let seen = Arc::clone(&seen);
        tokio::spawn(async move {
            let method = request.method().clone();
            let mut body = request.into_body();
            let mut text = String::new();
            while let Some(Ok(bytes)) = body.data().await {
                text.push_str(std::str::from_utf8(&bytes).unwrap());
            }
            seen.lock().unwrap().push(format!("{method} {text}"));
            if text == "wait" {
                let reason = std::future::poll_fn(|context| respond.poll_reset(context)).await.unwrap();
                seen.lock().unwrap().push(format!("{reason:?}"));
                return;
            }
            let mut body = respond.send_response(http::Response::new(()), false).unwrap();
            body.send_data(Bytes::from_static(b"hello"), true).unwrap();
        });
    }
}

async fn post(transport: &Transport, to: &Uri) -> Result<Bytes, Fault> {
    let body = Bytes::from_static(b"question");
    let response = transport.send(&Method::POST, to, &HeaderMap::new(), &body, None).await;
    let response = response.map_err(|error| Fault::before_answer(&error))?;
    assert_eq!(response.version(), http::Version::HTTP_2);
    Answer::new(response, Duration::from_secs(10)).body.read(1000).await
}

#[tokio::test]
async fn http2_is_spoken_where_tls_agrees_on_it_many_requests_on_one_connection() {
    let server = Server::start([]).await;
    let (transport, to) = (trusting(server.roots.clone()), uri("localhost", server.at));
    assert_eq!(post(&transport, &to).await.unwrap(), "hello");
    let answers = futures_util::stream::iter(0..8).map(|_| post(&transport, &to)).buffer_unordered(8);
    assert!(answers.all(async |answer| answer.unwrap() == "hello").await);
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_or_that_has_ended_or_is_of_another_name_is_no_connection() {
    let server = Server::start([]).await;
    let strangers = trusting(Server::start([]).await.roots);
    let fault = post(&strangers, &uri("localhost", server.at)).await;
    assert_eq!(fault, Err(Fault::Connect(ConnectReason::Tls)));
    let fault = post(&trusting(server.roots.clone()), &uri("127.0.0.1", server.at)).await;
    assert_eq!(fault, Err(Fault::Connect(ConnectReason::Tls)));
    assert!(server.seen.lock().unwrap().is_empty());
    let server = Server::certified([], certified(2020)).await;
    let fault = post(&trusting(server.roots.clone()), &uri("localhost", server.at)).await;
    assert_eq!(fault, Err(Fault::Connect(ConnectReason::Tls)));
}

#[tokio::test]
async fn what_the_other_side_refused_unread_is_sent_again_and_nothing_else() {
    const REFUSED: h2::Reason = h2::Reason::REFUSED_STREAM;
    for (resets, answered) in [
        (vec![REFUSED], true),
        (vec![REFUSED; 2], true),
        // So many and no more.
        (vec![REFUSED; 3], false),
        // It may have done something.
        (vec![h2::Reason::INTERNAL_ERROR], false),
        (vec![h2::Reason::CANCEL], false),
    ] {
        let server = Server::start(resets.clone()).await;
        let answer = post(&trusting(server.roots.clone()), &uri("localhost", server.at)).await;
        assert_eq!(answer, if answered { Ok("hello".into()) } else { Err(Fault::BrokeOff) }, "{resets:?}");
        let expected: &[&str] = if answered { &["POST question"] } else { &[] };
        assert_eq!(*server.seen.lock().unwrap(), expected, "{resets:?}");
    }
}

#[tokio::test]
async fn who_stops_waiting_resets_the_stream_and_leaves_the_connection_to_others() {
    let server = Server::start([]).await;
    let (transport, to) = (trusting(server.roots.clone()), uri("localhost", server.at));
    assert_eq!(post(&transport, &to).await.unwrap(), "hello");
    let (headers, body) = (HeaderMap::new(), Bytes::from_static(b"wait"));
    tokio::select! {
        answer = transport.send(&Method::POST, &to, &headers, &body, None) => panic!("it came: {}", answer.is_ok()),
        () = server.saw(2) => {}
    }
    server.saw(3).await;
    assert_eq!(*server.seen.lock().unwrap(), ["POST question", "POST wait", "CANCEL"]);
    assert_eq!(post(&transport, &to).await.unwrap(), "hello");
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}
