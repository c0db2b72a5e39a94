use super::*;

fn host(text: &str) -> Host {
    Host::of(&Url::parse(text).unwrap()).unwrap()
}

#[test]
fn plain_http_stays_here() {
    for good in
        ["http://127.0.0.1:1/x", "http://127.9.9.9/", "http://localhost/", "http://LOCALHOST:80", "http://[::1]:8/"]
    {
        assert!(host(good).may_be_asked(false).is_ok(), "{good}");
    }
    let away =
        ["http://example.com/", "http://localhost.example.com", "http://128.0.0.1", "http://[::2]", "http://10.0.0.1"];
    for bad in away {
        assert!(host(bad).may_be_asked(false).is_err(), "{bad}");
        assert!(host(bad).may_be_asked(true).is_ok(), "{bad}");
    }
    assert!(host("https://example.com/").may_be_asked(false).is_ok());
}

#[test]
fn a_host_is_shown_without_anything_else() {
    assert_eq!(host("https://user:pass@Example.com:443/path?query#x").to_string(), "https://example.com");
    assert_eq!(host("http://[::1]:8080/path").to_string(), "http://[::1]:8080");
}

#[test]
fn addresses_are_http_or_nothing() {
    assert!(url("https://example.com").is_ok());
    for bad in ["", "example.com", "ftp://example.com", "file:///etc/passwd", "data:x", "https://"] {
        let error = url(bad).unwrap_err();
        assert_eq!(error.reason, Reason::InvalidAnswer, "{bad}");
    }
}

#[test]
fn what_no_header_can_hold_is_none() {
    let value = |text: &str| secret_value(Secret::new(text.to_owned()));
    assert!(value("a\nb").is_none());
    let good = value("Bearer x").unwrap();
    assert!(good.is_sensitive());
    assert!(!format!("{good:?}").contains("Bearer"));
}

#[test]
fn texts_are_cut_and_cleaned() {
    assert_eq!(cut("a\nb\u{1b}c\u{202e}d", 10), "a bcd");
    assert_eq!(cut("äöü", 2), "äö...");
    assert_eq!(cut("äö", 2), "äö");
}
