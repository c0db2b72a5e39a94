use std::path::PathBuf;
use std::sync::Arc;

use super::*;

// RFC 7515 A.1: a token whose claims a template may read.
const JWT: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// One line at 2020-09-13T12:26:40Z.
fn one(token: &str, expires: Option<i64>, format: &Format) -> Result<String, RenderError> {
    let (name, token) = (TokenName::new("a.b").unwrap(), Secret::new(token.to_owned()));
    let rendered = Rendered {
        name: &name,
        token: &token,
        issued_at: Wall::from_secs(1_600_000_000),
        expires_at: expires.map(Wall::from_secs),
    };
    render([(rendered, format)]).map(|bytes| String::from_utf8(bytes.expose().clone()).unwrap())
}

fn env_format(expires: bool) -> Format {
    Format::Env { variable: "T".into(), expires_variable: expires.then(|| "T_AT".into()) }
}

fn by_template(text: &str, token: &str, expires: Option<i64>) -> Result<String, RenderError> {
    let format = Format::Template { file: PathBuf::from("/etc/t"), text: Arc::from(text) };
    one(token, expires, &format)
}

#[test]
fn the_five_formats() {
    let at = Some(1_600_003_600);
    for (format, expires, expected) in [
        (Format::Token, at, "tok"),
        (Format::Header, at, "Authorization: Bearer tok\n"),
        (env_format(false), at, "T=tok\n"),
        (env_format(true), at, "T=tok\nT_AT=1600003600\n"),
        (env_format(true), None, "T=tok\n"),
        (
            Format::Json,
            at,
            "{\"name\":\"a.b\",\"token\":\"tok\",\"issued_at\":\"2020-09-13T12:26:40Z\",\"expires_at\":\"2020-09-13T13:26:40Z\"}\n",
        ),
        (
            Format::Json,
            None,
            "{\"name\":\"a.b\",\"token\":\"tok\",\"issued_at\":\"2020-09-13T12:26:40Z\",\"expires_at\":null}\n",
        ),
    ] {
        assert_eq!(one("tok", expires, &format).as_deref(), Ok(expected));
    }
}

#[test]
fn a_shared_env_file_holds_its_lines_in_order() {
    let (a, b) = (TokenName::new("a").unwrap(), TokenName::new("b").unwrap());
    let (x, y) = (Secret::new("x".to_owned()), Secret::new("y".to_owned()));
    let line = |name, token| Rendered { name, token, issued_at: Wall(0), expires_at: Some(Wall::from_secs(7)) };
    let second = Format::Env { variable: "B".into(), expires_variable: None };
    let first = env_format(true);
    let bytes = render([(line(&a, &x), &first), (line(&b, &y), &second)]).unwrap();
    assert_eq!(bytes.expose(), b"T=x\nT_AT=7\nB=y\n");
    assert_eq!(render([]).unwrap().expose(), b"");
}

#[test]
fn every_byte_of_an_env_value_is_judged() {
    let fine = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+/=,:@%^-";
    assert!(one(fine, None, &env_format(false)).is_ok());
    for byte in 0..=0x7f_u8 {
        let value = format!("a{}b", char::from(byte));
        let expected = fine.as_bytes().contains(&byte) || byte == b'~';
        assert_eq!(one(&value, None, &env_format(false)).is_ok(), expected, "{byte:#x}");
    }
    for (value, expected) in [("~a", false), ("a~", true), ("a:~b", false), ("a~~", true), ("\u{e9}", false)] {
        assert_eq!(one(value, None, &env_format(false)).is_ok(), expected, "{value}");
    }
    let error = one("abc def", None, &env_format(false)).unwrap_err().to_string();
    assert!(error.contains("a.b") && error.contains(" T ") && error.contains("white space"), "{error}");
    assert!(!error.contains("abc") && !error.contains("def"), "{error}");
}

#[test]
fn a_header_is_one_line() {
    for value in ["a\nX-Evil: 1", "a\r", "a\0", "\u{e9}"] {
        assert!(one(value, None, &Format::Header).is_err(), "{value:?}");
    }
}

#[test]
fn templates_see_the_token_as_it_is() {
    let text = "<{{ name }}|{{ token }}|{{ issued_at }}|{{ expires_at }}>\n\n";
    assert_eq!(
        by_template(text, "<&\"", Some(1_600_003_600)).as_deref(),
        Ok("<a.b|<&\"|2020-09-13T12:26:40Z|2020-09-13T13:26:40Z>\n\n")
    );
    let never = "{% if expires_at is none %}never{% endif %}{{ claims }}";
    assert_eq!(by_template(never, "opaque", None).as_deref(), Ok("never{}"));
    let claims = "{{ claims.iss }} {{ claims['http://example.com/is_root'] }} {{ claims.exp + 1 }}";
    assert_eq!(by_template(claims, JWT, None).as_deref(), Ok("joe True 1300819381"));
}

#[test]
fn a_template_fails_without_telling_the_token() {
    for text in ["\n{{ nothing }}", "\n{{ claims.nothing }}", "\n{{ token | int }}", "\n{{ token.x.y }}"] {
        let error = by_template(text, "s3cr3t", None).unwrap_err().to_string();
        assert!(error.contains("/etc/t line 2"), "{error}");
        assert!(!error.contains("s3cr3t"), "{error}");
    }
    assert_eq!(check_template("ok {{ token }}"), Ok(()));
    assert_eq!(check_template("a\n{{ token").unwrap_err().0, 2);
}

#[test]
fn the_buffer_does_not_grow() {
    for format in [Format::Token, Format::Json, Format::Header, env_format(true)] {
        let (name, token) = (TokenName::new(&"n".repeat(64)).unwrap(), Secret::new("t".repeat(5000)));
        let rendered =
            Rendered { name: &name, token: &token, issued_at: Wall(i64::MAX), expires_at: Some(Wall(i64::MAX)) };
        let size = room(&rendered, &format);
        let bytes = render([(rendered, &format)]).unwrap();
        assert!(bytes.expose().len() <= size, "{format:?}");
    }
}
