//! The HTTP client against servers that misbehave: what may have happened is told apart.

use std::time::Duration;

use bytes::Bytes;
use stream_replicator::failure::FailureKind;
use stream_replicator::http::{HttpClient, HttpErrorKind, Method, Request};
use stream_replicator::settings::{HttpSettings, Resolve};
use testbed::zone::{Behind, Zone};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use url::Url;

/// What a server does with the one request it gets.
enum Does {
    Answers(Bytes),
    HangsUp,
    KeepsSilent,
}

/// A server for one request; gives its address with a secret in the query, and then what it was sent.
async fn serve(does: Does) -> std::io::Result<(Url, tokio::task::JoinHandle<String>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}/path?sig=secret", listener.local_addr()?);
    let serving = tokio::spawn(async move {
        let Ok((mut socket, _)) = listener.accept().await else { return String::new() };
        let mut buffer = vec![0; 4096];
        let read = socket.read(&mut buffer).await.unwrap_or_default();
        match does {
            Does::Answers(bytes) => drop(socket.write_all(&bytes).await),
            Does::HangsUp => {}
            // Until the client goes away.
            Does::KeepsSilent => drop(socket.read_to_end(&mut Vec::new()).await),
        }
        String::from_utf8_lossy(&buffer[..read]).into_owned()
    });
    Ok((Url::parse(&address).map_err(std::io::Error::other)?, serving))
}

fn settings(timeout_seconds: u64) -> HttpSettings {
    HttpSettings {
        connect_timeout_seconds: 5,
        timeout_seconds,
        storage_timeout_seconds: 5,
        max_response_bytes: 1000,
        tries: 1,
        ca_file: None,
        resolve: Resolve::default(),
    }
}

fn answer(head: &str, body_bytes: usize) -> Bytes {
    format!("HTTP/1.1 {head}\r\ncontent-length: {body_bytes}\r\n\r\n{}", "x".repeat(body_bytes)).into()
}

#[tokio::test]
async fn requests_go_out_as_they_are_and_redirects_are_not_followed() {
    let (url, serving) = serve(Does::Answers(answer("301 Moved\r\nlocation: http://127.0.0.1:1/", 3))).await.unwrap();
    let merge = Method::from_bytes(b"MERGE").unwrap();
    let request = Request::new(merge, url).header("authorization", "Bearer a&b%3a=").body("{}");
    let response = HttpClient::new(&settings(30)).unwrap().send(request).await.unwrap();
    assert_eq!((response.status, response.header("location")), (301, Some("http://127.0.0.1:1/")));
    assert_eq!(response.body, "xxx");
    let sent = serving.await.unwrap();
    assert!(sent.starts_with("MERGE /path?sig=secret HTTP/1.1\r\n"), "{sent}");
    assert!(sent.contains("authorization: Bearer a&b%3a=\r\n") && sent.ends_with("\r\n\r\n{}"), "{sent}");
    assert!(sent.contains("user-agent: stream-replicator/"), "{sent}");
}

#[tokio::test]
async fn what_may_have_happened_is_told_apart_without_secrets() {
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Url::parse(&format!("http://{}/path?sig=secret", listener.local_addr().unwrap())).unwrap()
    };
    let (silent, _silent) = serve(Does::KeepsSilent).await.unwrap();
    let (rude, _rude) = serve(Does::HangsUp).await.unwrap();
    let (cut, _cut) = serve(Does::Answers("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx".into())).await.unwrap();
    let (large, _large) = serve(Does::Answers(answer("200 OK", 1001))).await.unwrap();
    for (url, timeout, kind, may_have_been_done, code) in [
        (nobody, 30, HttpErrorKind::Connect, false, "cannot-connect"),
        (silent, 1, HttpErrorKind::Timeout, true, "timeout"),
        (rude, 30, HttpErrorKind::Interrupted, true, "connection-lost"),
        (cut, 30, HttpErrorKind::Interrupted, true, "connection-lost"),
        (large, 30, HttpErrorKind::TooLarge, true, "answer-too-large"),
    ] {
        let client = HttpClient::new(&settings(timeout)).unwrap();
        let error = client.send(Request::new(Method::POST, url).body("secret")).await.unwrap_err();
        assert_eq!((error.kind, error.may_have_been_done()), (kind, may_have_been_done), "{error}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        let failure = error.into_failure(&"west".parse().unwrap());
        assert_eq!((failure.code, failure.retry_after()), (code, None::<Duration>));
        let is_permanent = failure.kind == FailureKind::Permanent;
        assert_eq!(is_permanent, code == "answer-too-large");
    }
}

#[tokio::test]
async fn a_host_of_the_settings_is_not_asked_of_the_dns() {
    for explicit_port in [false, true] {
        let (url, serving) = serve(Does::Answers(answer("200 OK", 1))).await.unwrap();
        let port = url.port().unwrap();
        let (there, host) = match explicit_port {
            false => (format!("127.0.0.1:{port}"), "far.invalid".to_owned()),
            true => ("127.0.0.1:1".to_owned(), format!("far.invalid:{port}")),
        };
        let mut settings = settings(30);
        settings.resolve.0.insert("far.invalid".to_owned(), there.parse().unwrap());
        let url = Url::parse(&format!("http://{host}/path")).unwrap();
        let response = HttpClient::new(&settings).unwrap().send(Request::new(Method::GET, url)).await.unwrap();
        assert_eq!(response.status, 200);
        assert!(serving.await.unwrap().contains(&format!("host: {host}\r\n")), "the URL's own host is named");
    }
}

#[tokio::test]
async fn an_authority_of_the_settings_is_trusted_besides_the_machines() {
    let (url, serving) = serve(Does::Answers(answer("200 OK", 1))).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server = Behind::Server(url.origin().ascii_serialization().parse().unwrap());
    let zone = Zone::start(folder.path(), [("far.invalid".to_owned(), server)]).await.unwrap();
    let mut settings = settings(30);
    settings.resolve.0.extend(zone.places().map(|(name, address)| (name.to_owned(), address)));
    let request = || Request::new(Method::GET, Url::parse("https://far.invalid/path").unwrap());

    let error = HttpClient::new(&settings).unwrap().send(request()).await.unwrap_err();
    assert_eq!((error.kind, error.may_have_been_done()), (HttpErrorKind::Distrusted, false), "{error}");
    assert!(zone.requests().is_empty());
    settings.ca_file = Some(zone.ca_file().to_owned());
    assert_eq!(HttpClient::new(&settings).unwrap().send(request()).await.unwrap().status, 200);
    assert!(serving.await.unwrap().contains("host: far.invalid\r\n"));

    settings.ca_file = Some("/nowhere/ca.pem".into());
    assert!(HttpClient::new(&settings).unwrap_err().to_string().contains("/nowhere/ca.pem"));
}
