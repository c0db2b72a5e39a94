use std::path::PathBuf;
use std::sync::Arc;

use super::*;
use crate::core::schedule::Life;
use crate::core::settings::TokenName;

// RFC 7515 A.1: a token whose claims a template may read.
const JWT: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn named(name: &str, value: &str, issued_at: Wall, expires_at: Option<Wall>) -> Token {
    let life = Life { issued_at, expires_at, obtained_at: issued_at };
    Token::new(TokenName::new(name).unwrap(), Secret::new(value.to_owned()), life)
}

/// One line at 2020-09-13T12:26:40Z.
fn one(token: &str, expires: Option<i64>, format: &Format) -> Result<String, RenderError> {
    let token = named("a.b", token, Wall::from_secs(1_600_000_000), expires.map(Wall::from_secs));
    render([(&token, format)]).map(|bytes| String::from_utf8(bytes.expose().clone()).unwrap())
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
    let [a, b] = [("a", "x"), ("b", "y")].map(|(name, value)| named(name, value, Wall(0), Some(Wall::from_secs(7))));
    let second = Format::Env { variable: "B".into(), expires_variable: None };
    let first = env_format(true);
    let bytes = render([(&a, &first), (&b, &second)]).unwrap();
    assert_eq!(bytes.expose(), b"T=x\nT_AT=7\nB=y\n");
    assert_eq!(render([]).unwrap().expose(), b"");
}

#[test]
fn every_byte_of_an_env_value_is_judged() {
    let fine = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+/=,:@%^-!";
    assert!(one(fine, None, &env_format(false)).is_ok());
    for byte in 0..=0x7f_u8 {
        let value = format!("a{}b", char::from(byte));
        let expected = fine.as_bytes().contains(&byte) || matches!(byte, b'~' | b'#');
        assert_eq!(one(&value, None, &env_format(false)).is_ok(), expected, "{byte:#x}");
    }
    for (value, expected) in [
        ("~a", false),
        ("a~", true),
        ("#a", false),
        ("a#", true),
        ("a:#b!", true),
        ("a:~b", false),
        ("a~~", true),
        ("\u{e9}", false),
    ] {
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
}

#[test]
fn the_buffer_does_not_grow() {
    for format in [Format::Token, Format::Json, Format::Header, env_format(true)] {
        let token = named(&"n".repeat(64), &"t".repeat(5000), Wall(i64::MAX), Some(Wall(i64::MAX)));
        let size = room(&token, &format);
        let bytes = render([(&token, &format)]).unwrap();
        assert!(bytes.expose().len() <= size, "{format:?}");
    }
}

/// What is wrong with a template for a token that is signed here (with the claims a, aud, exp, iat, iss and jti), or
/// that comes from somebody else.
fn faults(text: &str, is_signed: bool) -> Vec<String> {
    let key = crate::core::crypto::SigningKey::from_secret(b"07c6e2t1rb92987fnrd705jkk8582p9e");
    let settings = crate::core::settings::JwtSettings {
        algorithm: crate::core::crypto::Algorithm::HS256,
        signing_key: Arc::new(key),
        key: Some("k".into()),
        key_claim: crate::core::settings::KeyClaim::Iss,
        lifetime: crate::core::settings::Lifetime::For(std::time::Duration::from_secs(60)),
        skew: std::time::Duration::ZERO,
        claims: serde_json::json!({"a": {"b": [1, 2]}, "aud": "x"}).as_object().unwrap().clone().into(),
        header: Map::new().into(),
        iat: true,
        exp: true,
        nbf: false,
        jti: true,
    };
    let told = |fault: Fault| format!("{} | {}", fault.what, fault.help);
    match Template::read(text) {
        Ok(template) => {
            let name = TokenName::new("t").unwrap();
            template.faults(&name, is_signed.then_some(&settings)).into_iter().map(told).collect()
        }
        Err(fault) => vec![told(fault)],
    }
}

#[test]
fn a_template_that_can_be_filled_in_has_no_faults() {
    for text in [
        "",
        "TOKEN={{ token }}\n",
        "{{ name }} {{ issued_at }} {{ expires_at }} {{ claims }}",
        "{% if expires_at is none %}never{% else %}{{ expires_at | replace('Z', '') | upper }}{% endif %}",
        "{% set x = token %}{{ x }}{% for i in range(3) %}{{ i }}{{ loop.index }}{% endfor %}",
        "{% macro m(a, b=1) %}{{ a }}{{ b }}{% endmacro %}{{ m(token, b=name) }}",
        "{# tokn #}{% raw %}{{ tokn | nope }}{% endraw %}",
        "{% if other is defined %}{{ other }}{% endif %}{{ other2 | default('x') }}",
        "{% filter upper %}a{% endfilter %}",
        "{{ {'tokn': 1}.tokn }} {{ 'tokn' }}",
        "{% for key, value in claims | items %}{{ key }}={{ value }}\n{% endfor %}",
        "{% if claims.aud is defined and claims.aud != 'y' %}{{ claims.aud }}{% endif %}",
        "{{ claims.exp + 1 }}{{ claims.exp | int }}",
        "{% if 'role' in claims %}{{ claims.role }}{% endif %}",
        "{% set claims = {'x': 1} %}{{ claims.x }}",
    ] {
        for is_signed in [true, false] {
            assert_eq!(faults(text, is_signed), Vec::<String>::new(), "{text}");
        }
    }
    // Only the token itself can tell.
    for text in ["{{ claims.role }}", "{{ claims.a.c }}", "{% if claims.x > 3 %}{% endif %}", "{{ token | int }}"] {
        assert_eq!(faults(text, false), Vec::<String>::new(), "{text}");
        assert_eq!(faults(text, true).len(), 1, "{text}");
    }
    assert_eq!(
        faults("{{ claims.a.b[1] }}{{ claims['aud'] }}{{ claims.sub | default('') }}", true),
        Vec::<String>::new()
    );
}

#[test]
fn what_a_template_asks_for_in_vain_is_told_with_its_line() {
    let filled = "cannot be filled in: line";
    for (text, told) in [
        ("{{ tokn }}", vec![format!("{filled} 1: there is no variable `tokn` | did you mean `token`?")]),
        ("\n\n{{ exp }}", vec![format!("{filled} 3: there is no variable `exp` | did you mean `claims.exp`?")]),
        (
            "tokn {{ x.tokn }}\n{{ x | tokn }}",
            vec![
                format!(
                    "{filled} 1: there is no variable `x` | a template has name, token, claims, issued_at, expires_at"
                ),
                format!(
                    "{filled} 2: there is no filter `tokn` | the filters are minijinja's own (docs.rs/minijinja, filters)"
                ),
            ],
        ),
        ("{{ token | uper }}", vec![format!("{filled} 1: there is no filter `uper` | did you mean `upper`?")]),
        (
            "{% if expires_at is none %}\n{{ token | nosuch }}{{ zzz() }}{% endif %}",
            vec![
                format!(
                    "{filled} 2: there is no variable `zzz` | a template has name, token, claims, issued_at, expires_at"
                ),
                format!(
                    "{filled} 2: there is no filter `nosuch` | the filters are minijinja's own (docs.rs/minijinja, filters)"
                ),
            ],
        ),
        (
            "{% if token is defned %}{% endif %}",
            vec![format!("{filled} 1: there is no test `defned` | did you mean `defined`?")],
        ),
        (
            "{{ token.value }}",
            vec![format!(
                "{filled} 1: undefined value | a template has name, token, claims, issued_at, expires_at; expires_at is none for a token that never expires"
            )],
        ),
    ] {
        assert_eq!(faults(text, true), told, "{text}");
        assert_eq!(faults(text, false), told, "{text}");
    }
    assert_eq!(
        faults("{% if token %}\n{{ claims.role }}{% endif %}", true),
        [format!("{filled} 2: the token has no claim `role` | the token has the claims iss, iat, exp, jti, a, aud")]
    );
    assert_eq!(
        faults("{{ claims.isss }}", true),
        [format!("{filled} 1: the token has no claim `isss` | did you mean `claims.iss`?")]
    );
    let broken = faults("a\n{{ token", false);
    assert!(broken.len() == 1 && broken[0].starts_with("is not a template: line 2: "), "{broken:?}");
    assert!(faults("{{ claims.items() }}", false)[0].contains("line 1: unknown method"), "items");
    assert!(faults("{% include 'x' %}", false)[0].contains("line 1: template not found"), "include");
}
