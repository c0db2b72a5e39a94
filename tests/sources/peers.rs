//! Who is on the other side: its certificate, ours, and nobody at all.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join;
use renewd::core::engine::Reason;
use renewd::core::settings::{ClientAuth, OAuth2Settings, Reach, SourcePlan, TokenEndpoint};

use crate::setting::{Try, block, identity, oauth2, reach, refused};
use support::http::{Act, Server, json};
use support::pki::{CLIENT, HERE, Pki};

const GOOD: &str = r#"{"access_token":"abc","token_type":"Bearer","expires_in":60}"#;

fn trusting(pki: &Pki, url: &str) -> OAuth2Settings {
    OAuth2Settings { reach: Reach { ca: Some(pki.read("ca.crt").into()), ..reach() }, ..oauth2(url) }
}

#[test]
fn a_private_ca_is_trusted_where_it_is_named() {
    let pki = Pki::new();
    pki.issue("here", "2", HERE);
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let server = Server::at(address, Some(pki.server("here", None)), |_| json(GOOD));
        let got = Try::new().oauth2(trusting(&pki, &server.url("/token"))).unwrap();
        assert_eq!(got.value.expose(), "abc");
        if address.starts_with("127") {
            let named = format!("https://localhost:{}/token", server.address.port());
            Try::new().oauth2(trusting(&pki, &named)).unwrap();
        }
        let told = server.seen().len();
        let error = refused(oauth2(&server.url("/token")));
        assert_eq!(error.reason, Reason::Unreachable);
        assert!(error.message.contains("ca_file"), "{error}");
        assert_eq!(server.seen().len(), told, "nothing was sent to a stranger");
    }
}

#[test]
fn a_bad_certificate_is_told_in_words() {
    let pki = Pki::new();
    pki.issue("expired", "-1", HERE);
    pki.issue("elsewhere", "2", "subjectAltName=DNS:elsewhere.example\nextendedKeyUsage=serverAuth\n");
    pki.issue("client", "2", &format!("{CLIENT}subjectAltName=IP:127.0.0.1\n"));
    let wanted =
        [("expired", "has expired"), ("elsewhere", "is for another name"), ("client", "is not one of a server")];
    for (name, words) in wanted {
        let server = Server::at("127.0.0.1:0", Some(pki.server(name, None)), |_| json(GOOD));
        let error = refused(trusting(&pki, &server.url("/token")));
        assert_eq!(error.reason, Reason::Unreachable);
        assert!(error.message.contains(words), "{name}: {error}");
        assert!(server.seen().is_empty());
    }
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/token", plain.local_addr().unwrap());
    std::thread::spawn(move || plain.accept().unwrap().0.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    let error = refused(trusting(&pki, &url));
    assert!(error.message.contains("does not speak TLS"), "{error}");
    let error = refused(OAuth2Settings {
        reach: Reach { ca: Some(b"x".as_slice().into()), ..reach() },
        ..oauth2("https://127.0.0.1:1/")
    });
    assert_eq!(error.reason, Reason::Machine);
    assert!(error.message.contains("ca_file"), "{error}");
}

#[test]
fn a_client_authenticates_itself_by_its_certificate() {
    let pki = Pki::new();
    pki.issue("here", "2", HERE);
    pki.issue("client", "2", CLIENT);
    let server = Server::at("127.0.0.1:0", Some(pki.server("here", Some("ca"))), |_| json(GOOD));
    let settings = trusting(&pki, &server.url("/token"));
    let certified = OAuth2Settings { client_auth: ClientAuth::Tls(identity(&pki, "client")), ..settings.clone() };
    Try::new().oauth2(certified.clone()).unwrap();
    let seen = server.only();
    assert!(seen.certified);
    assert_eq!(seen.field("client_id").as_deref(), Some("jobs"));
    assert_eq!((seen.header("authorization"), seen.field("client_secret")), (None, None));

    // While one is under way, another of the same network does not go out under its certificate.
    let slow =
        Server::at("127.0.0.1:0", Some(pki.server("here", Some("ca"))), |_| json(GOOD).after(Duration::from_secs(1)));
    let both = Try::new();
    let plan = |settings: &OAuth2Settings| {
        let endpoint = TokenEndpoint::Url(slow.url("/token"));
        SourcePlan::OAuth2(Arc::new(OAuth2Settings { endpoint, ..settings.clone() }))
    };
    let (proven, error) = block(async {
        let uncertified = async {
            while slow.seen().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            both.of(plan(&settings)).await
        };
        join(both.of(plan(&certified)), uncertified).await
    });
    proven.unwrap();
    let error = error.unwrap_err();
    assert!(error.message.contains("client_cert"), "{error}");

    pki.issue("other", "2", CLIENT);
    let mut mixed = identity(&pki, "client");
    mixed.key = identity(&pki, "other").key;
    let error = refused(OAuth2Settings { client_auth: ClientAuth::Tls(mixed), ..settings });
    assert_eq!(error.reason, Reason::Machine);
    assert!(error.message.contains("do not belong together"), "{error}");
}

#[test]
fn nobody_there_is_told_by_its_kind() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = refused(oauth2(&format!("http://{free}/token?hunter2")));
    assert_eq!(error.reason, Reason::Unreachable);
    assert!(error.message.contains("refused") && error.message.contains(&free.to_string()), "{error}");

    let error = refused(oauth2("https://no-such-host.invalid/oauth/token?hunter2"));
    assert_eq!(error.reason, Reason::Unreachable);
    assert!(
        error.message.starts_with("https://no-such-host.invalid/oauth/token cannot be reached: its name"),
        "{error}"
    );
}

#[test]
fn plain_http_leaves_this_machine_only_when_told() {
    let error = refused(oauth2("http://192.0.2.1/token"));
    assert_eq!(error.reason, Reason::InvalidAnswer);
    assert!(error.message.contains("allow_http"), "{error}");
}

/// A listener whose queue is full takes no connection, and refuses none.
#[test]
fn no_connection_in_time_is_told() {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    rustix::net::bind(&socket, &any).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        queue.push(stream);
    }
    let begun = Instant::now();
    let settings = oauth2(&format!("http://{address}/token"));
    let error = refused(OAuth2Settings { reach: Reach { timeout: Duration::from_secs(1), ..reach() }, ..settings });
    assert_eq!(error.reason, Reason::Unreachable);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(error.message.contains("no connection in time"), "{error}");
}

#[test]
fn what_is_broken_off_is_told() {
    let timeout = Duration::from_millis(400);
    type Answering = fn() -> Act;
    let cases: [(Answering, &str); 5] = [
        (|| Act::Hang, "did not answer in full within 400ms"),
        (|| Act::Trickle, "did not answer in full within 400ms"),
        (|| Act::Reset, "the connection was reset"),
        (|| Act::Close, "gave no answer"),
        (|| Act::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_vec()), "gave no answer"),
    ];
    for (act, words) in cases {
        let server = Server::start(move |_| act());
        let begun = Instant::now();
        let settings = OAuth2Settings { reach: Reach { timeout, ..reach() }, ..oauth2(&server.url("/token")) };
        let error = refused(settings);
        assert_eq!(error.reason, Reason::Unreachable, "{error}");
        assert!(error.message.contains(words), "{words}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!(server.seen().len(), 1, "asked once: {words}");
    }
    let server = Server::start(|_| Act::Raw(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()));
    let error = refused(oauth2(&server.url("/")));
    assert_eq!(error.reason, Reason::Unreachable);
}
