//! Answers that are odd and readable: what curl reads, renewd reads. And what an endpoint says of a failure, in the words of the error.

use std::io::Write;
use std::process::Command;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use support::http::{Act, Server, answer, json};
use support::pki::Pki;
use support::{Sandbox, skipped};

const GOOD: &str = r#"{"access_token":"abc","token_type":"Bearer","expires_in":3600}"#;

/// Packed as Content-Encoding calls it; `bare` is deflate without zlib's frame (RFC 1950).
pub(crate) fn packed(encoding: &str, body: &[u8]) -> Vec<u8> {
    let level = Compression::default();
    let mut out = Vec::new();
    let done = match encoding {
        "gzip" => GzEncoder::new(&mut out, level).write_all(body),
        "deflate" => ZlibEncoder::new(&mut out, level).write_all(body),
        _ => DeflateEncoder::new(&mut out, level).write_all(body),
    };
    done.expect("packed");
    out
}

fn config(url: &str, more: &str) -> String {
    format!(
        "[token.api]\nsource = \"oauth2\"\ntoken_url = \"{url}\"\ngrant = \"client_credentials\"\nclient_id = \"jobs\"\n\
         client_secret.file = \"secret\"\n{more}\noutput = [{{ format = \"token\", path = \"out/api\" }}]\n"
    )
}

/// A head of these lines, and a body.
fn raw(lines: &str, body: &[u8]) -> Vec<u8> {
    [lines.as_bytes(), b"\r\n", body].concat()
}

fn odd_answers() -> Vec<(&'static str, Vec<u8>)> {
    let length = format!("Content-Length: {}\r\n", GOOD.len());
    let with = |line: &str| raw(&format!("HTTP/1.1 200 OK\r\n{length}{line}\r\n"), GOOD.as_bytes());
    let zipped = |encoding: &str, how: &str| {
        let body = packed(how, GOOD.as_bytes());
        raw(&format!("HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {}\r\n", body.len()), &body)
    };
    let many: String = (0..120).map(|n| format!("X-Field-{n}: {n}\r\n")).collect();
    vec![
        ("folded", with("Content-Security-Policy: default-src 'self';\r\n  script-src 'self'")),
        ("folded by a bare LF", with("Content-Security-Policy: default-src 'self';\n  script-src 'self'")),
        ("a control byte in a cookie", with("Set-Cookie: ___utmva=dmo\u{1}OZPF; path=/")),
        ("a cookie in Latin-1", [&with("X: y")[..17], b"Set-Cookie: a=Gr\xfcn\r\n", &with("X: y")[17..]].concat()),
        ("white space before a colon", with("X-Odd : y")),
        ("120 fields", with(many.trim_end())),
        ("names in small letters", raw(&format!("HTTP/1.1 200 OK\r\n{}", length.to_lowercase()), GOOD.as_bytes())),
        ("no reason phrase", raw(&format!("HTTP/1.1 200\r\n{length}"), GOOD.as_bytes())),
        ("HTTP/1.0 without a length", raw("HTTP/1.0 200 OK\r\n", GOOD.as_bytes())),
        ("lines that end with LF alone", format!("HTTP/1.1 200 OK\n{}\n{GOOD}", length.replace('\r', "")).into_bytes()),
        (
            "chunks",
            raw(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n",
                format!("{:x}\r\n{GOOD}\r\n0\r\n\r\n", GOOD.len()).as_bytes(),
            ),
        ),
        ("early hints", [&b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"[..], &with("X: y")].concat()),
        ("gzip", zipped("gzip", "gzip")),
        ("deflate", zipped("deflate", "deflate")),
        ("deflate without its frame", zipped("deflate", "bare")),
    ]
}

#[test]
fn what_curl_reads_is_read() {
    let has_curl = Command::new("curl").arg("--version").output().is_ok_and(|ran| ran.status.success());
    if !has_curl {
        skipped("what_curl_reads_is_read", "curl is missing: it is not asked beside renewd");
    }
    for (name, bytes) in odd_answers() {
        let server = Server::start(move |_| Act::Raw(bytes.clone()));
        let url = server.url("/token");
        if has_curl {
            let ran = Command::new("curl").args(["-sS", "--compressed", "--noproxy", "*", "-d", "a=b", &url]).output();
            assert_eq!(String::from_utf8_lossy(&ran.expect("curl").stdout), GOOD, "curl: {name}");
        }
        let sandbox = Sandbox::new();
        sandbox.config(config(&url, ""));
        let ran = sandbox.ours(&["once"]);
        assert_eq!(ran.code, Some(0), "{name}: {ran:#?}");
        assert_eq!(sandbox.read("api"), "abc", "{name}");
    }
}

#[test]
fn a_whole_answer_is_taken_where_tls_is_not_closed_and_half_a_one_is_not() {
    let pki = Pki::new();
    pki.issue("named", "2", "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n");
    for (body, code) in [(GOOD, 0), (&GOOD[..20], 1)] {
        // `Raw` ends the connection, and not TLS.
        let answer = raw("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n", body.as_bytes());
        let server = Server::at("127.0.0.1:0", Some(pki.server("named", None)), move |_| Act::Raw(answer.clone()));
        let sandbox = Sandbox::new();
        sandbox.put("ca.crt", pki.read("ca.crt"));
        sandbox.config(config(&server.url("/token"), "ca_file = \"ca.crt\""));
        sandbox.ours(&["once"]).expect(code);
        assert_eq!(server.seen().len(), 1);
    }
}

/// `openssl req -x509` makes a CA of it. Where it stands in `ca_file` itself, curl takes it.
#[test]
fn a_self_signed_certificate_is_taken_where_it_is_named_and_for_its_name_alone() {
    let pki = Pki::new();
    pki.authority("other");
    let self_signed = |name: &str, of: &str| {
        let (key, certificate) = (pki.path(&format!("{name}.key")), pki.path(&format!("{name}.crt")));
        let ran = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=own", "-addext", &format!("subjectAltName={of}"), "-keyout"])
            .arg(key)
            .arg("-out")
            .arg(certificate)
            .output();
        assert!(ran.expect("openssl").status.success());
    };
    self_signed("own", "IP:127.0.0.1");
    self_signed("elsewhere", "DNS:elsewhere.example");
    for (shown, named, words) in
        [("own", "own", ""), ("own", "other", "ca_file"), ("elsewhere", "elsewhere", "is for another name")]
    {
        let server = Server::at("127.0.0.1:0", Some(pki.server(shown, None)), |_| json(GOOD));
        let sandbox = Sandbox::new();
        sandbox.put("ca.crt", pki.read(&format!("{named}.crt")));
        sandbox.config(config(&server.url("/token"), "ca_file = \"ca.crt\""));
        let ran = sandbox.ours(&["once"]).expect(i32::from(!words.is_empty()));
        assert!(ran.stderr.contains(words), "{shown}, {named}: {ran:#?}");
    }
}

#[test]
fn a_post_without_a_body_says_so() {
    let server = Server::start(|_| json(r#"{"t":"abc"}"#));
    let sandbox = Sandbox::new();
    sandbox.config(format!(
        "[token.api]\nsource = \"http\"\nurl = \"{}\"\nmethod = \"POST\"\nttl = \"1h\"\n\
         response = {{ token = \"/t\" }}\noutput = [{{ format = \"token\", path = \"out/api\" }}]\n",
        server.url("/t")
    ));
    sandbox.ours(&["once"]).expect(0);
    let seen = server.only();
    let exact = |name: &str| {
        seen.headers.iter().filter(|(known, _)| known == name).map(|(_, v)| v.as_str()).collect::<Vec<_>>()
    };
    assert_eq!((exact("Content-Length"), exact("Accept-Encoding")), (vec!["0"], vec!["identity"]), "{seen:#?}");
}

#[test]
fn what_an_endpoint_says_of_a_failure_is_shown_in_whatever_shape() {
    let cases: [(u16, &str, &str); 16] = [
        (200, "application/json", r#"{"errcode":40164,"errmsg":"the words"}"#),
        (200, "application/json", r#"{"code":10014,"msg":"the words"}"#),
        (400, "application/json", r#"{"errors":[{"errorType":"invalid_grant","message":"the words"}]}"#),
        (400, "application/json", r#"[{"message":"the words","errorCode":"X"}]"#),
        (400, "application/json", r#"{"Message":"the words"}"#),
        (400, "application/json", r#"{"errorCode":"E0000004","errorSummary":"the words"}"#),
        (400, "application/problem+json", r#"{"title":"the words","status":400}"#),
        (400, "application/json", r#"{"fault":{"faultstring":"the words"}}"#),
        (400, "application/json", r#"{"error":"invalid_client","reason":"the words"}"#),
        (400, "application/json", r#"{"errors":["the words"]}"#),
        (403, "text/plain", "the words"),
        (502, "text/html", "<html><head><title>the words</title></head><body>x</body></html>"),
        (200, "text/html", "<!doctype html><title>the words</title>"),
        (500, "application/xml", "<Error><Message>the words</Message></Error>"),
        (400, "text/plain", "the words: swordfish-swordfish-swordfish-00"),
        (400, "application/json", r#"{"message":"the words, eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln"}"#),
    ];
    for (status, kind, body) in cases {
        let server = Server::start(move |_| answer(status, kind, body));
        let sandbox = Sandbox::new();
        sandbox.put("secret", "swordfish-swordfish-swordfish-00");
        sandbox.config(config(&server.url("/token"), "client_auth = \"client_secret_post\""));
        let ran = sandbox.ours(&["once"]).expect(1);
        assert!(ran.stderr.contains("the words"), "{body}: {ran:#?}");
        assert!(!ran.text().contains("swordfish-") && !ran.text().contains("eyJ"), "{body}: {ran:#?}");
    }
}

/// A token where JSON was expected is no message.
#[test]
fn a_success_that_is_a_bare_text_is_not_shown() {
    let server = Server::start(|_| answer(200, "text/plain", "hunter2"));
    let sandbox = Sandbox::new();
    sandbox.config(config(&server.url("/token"), ""));
    let ran = sandbox.ours(&["once"]).expect(1);
    assert!(!ran.text().contains("hunter2"), "{ran:#?}");
}
