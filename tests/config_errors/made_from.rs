//! Owns: what a token is made from: each key of the table of keys is changed, for each source, and either the token is
//! another one, or the key is on the list of those that do not count. And a state of an earlier version is still of use.
//! Does not: show that another token is obtained then (`made_anew` of `tests/sources` does, with the binary).

use std::collections::BTreeSet;

use renewd::core::schema::schema;
use serde_json::{Value, json};

use super::sources::{
    CERTIFICATE, changed, command, entra, github, google, home, http, oauth2, planned, rsa, service_account,
};
use super::*;

/// Keys that a token does not follow from: a change of one obtains nothing anew. Of a table: all that stand in it. Each
/// with a line of a good config, and the reason.
const KEPT: [(&str, &str, &str); 22] = [
    ("required", "required = false\n", "who waits for the token"),
    ("units", "units = [\"a.service\"]\n", "who may read it"),
    ("output", "output = [{ format = \"token\", path = \"out/a\" }]\n", "where it is delivered"),
    ("mode", "mode = \"0640\"\n", "a property of its files"),
    ("owner", "owner = \"root\"\n", "a property of its files"),
    ("group", "group = \"root\"\n", "a property of its files"),
    ("after_rotate", "after_rotate = { command = [\"true\"], timeout = \"1s\" }\n", "what is done with it"),
    ("on_failure", "on_failure = { command = [\"true\"], after = \"1s\" }\n", "what is done without it"),
    ("rotate_at", "rotate_at = 0.5\n", "when the next one is obtained"),
    ("rotate_before", "rotate_before = \"10m\"\n", "when the next one is obtained"),
    ("rotate_every", "rotate_every = \"10m\"\n", "when the next one is obtained"),
    ("jitter", "jitter = 0\n", "when the next one is obtained"),
    ("user_agent", "user_agent = \"a\"\n", "who asks"),
    ("min_interval", "min_interval = \"1m\"\n", "when the next one is obtained"),
    ("warn_before", "warn_before = \"1d\"\n", "when somebody is told that a login ends"),
    ("retry", "retry = { initial = \"2s\", max = \"3s\", rejected = \"4s\" }\n", "when the next one is obtained"),
    ("timeout", "timeout = \"10s\"\n", "how long a try takes"),
    ("login", LOGIN, "how the first refresh token is had"),
    ("device_authorization_url", LOGIN, "where a login begins"),
    ("ca_file", "ca_file = \"cert.pem\"\n", "whom the connection trusts; the endpoint is the same"),
    ("allow_http", "allow_http = true\n", "whether an address is taken; the address itself counts"),
    ("allow_weak_secret", "allow_weak_secret = true\n", "whether a secret is taken; the secret itself counts"),
];

/// All that a login takes.
const LOGIN: &str = "login = { flow = \"device\", scope = \"a\", params = { b = \"c\" } }\n\
                     device_authorization_url = \"https://idp.example/device\"\n";

pub(super) type Base = fn(&[&str], &str) -> String;

/// A key of a source, and two configs that differ in it.
struct Change {
    source: &'static str,
    key: &'static str,
    configs: [String; 2],
}

/// The changes of one source: its good config with one or the other line, without those that begin with a word of `but`.
struct Changes<'a> {
    source: &'static str,
    base: Base,
    all: &'a mut Vec<Change>,
}

impl Changes<'_> {
    fn of(&mut self, key: &'static str, but: &[&str], common: &str, one: &str, other: &str) -> &mut Self {
        let configs = [one, other].map(|line| (self.base)(but, &format!("{common}{line}\n")));
        self.all.push(Change { source: self.source, key, configs });
        self
    }

    /// A line more than the good config.
    fn more(&mut self, key: &'static str, line: &str) -> &mut Self {
        self.of(key, &[], "", "", line)
    }
}

fn jwt(but: &[&str], lines: &str) -> String {
    changed(&token(""), but, lines)
}

/// With two other tokens that it may be made from.
fn with_parents(config: String) -> String {
    let parent = |name: &str| command(&[], "").replace("token.cmd", name);
    config + &parent("token.p") + &parent("token.q")
}

fn of_jwt(all: &mut Vec<Change>) {
    let weak = "allow_weak_secret = true\n";
    let often = "rotate_every = \"1m\"\n";
    let mut jwt = Changes { source: "jwt", base: jwt, all };
    jwt.of("algorithm", &["algorithm"], weak, "algorithm = \"HS256\"", "algorithm = \"HS384\"")
        .of("key", &["key"], "", "key = \"a\"", "key = \"b\"")
        .more("key_claim", "key_claim = \"kid\"")
        .of("secret.encoding", &[], weak, "", "secret.encoding = \"base64\"")
        .of("claims", &[], "", "claims = { aud = \"a\" }", "claims = { aud = \"b\" }")
        .of("claims", &[], "", "claims = { a = 1, b = 2 }", "claims = { b = 2, a = 1 }")
        .more("claims", "claims.iat = false")
        .more("claims", "claims.nbf = true")
        .more("claims", "claims.jti = false")
        .of("claims", &[], often, "", "claims.exp = false")
        .of("header", &[], "", "header = { typ = \"x\" }", "header = { typ = \"y\" }")
        .more("lifetime", "lifetime = \"2h\"")
        .of("lifetime", &[], often, "", "lifetime = \"never\"")
        .more("skew", "skew = \"1s\"");
}

/// Where `secrets.a` goes.
const NAMED: &str = "headers = { a = \"{{ secrets.a }}\" }\n";

fn of_oauth2(all: &mut Vec<Change>) {
    let exchange = "grant = \"token_exchange\"\n";
    let from_file = "grant = \"token_exchange\"\nsubject_token.file = \"good.secret\"\n";
    let mut oauth2 = Changes { source: "oauth2", base: |but, lines| with_parents(oauth2(but, lines)), all };
    oauth2
        .of(
            "token_url",
            &["token_url"],
            "",
            "token_url = \"https://a.example/t\"",
            "token_url = \"https://b.example/t\"",
        )
        .of("issuer", &["token_url"], "", "issuer = \"https://a.example\"", "issuer = \"https://b.example\"")
        .of("issuer", &["token_url"], "", "issuer = \"https://a.example\"", "token_url = \"https://a.example\"")
        .of("grant", &["grant"], "", "grant = \"client_credentials\"", from_file)
        .of("client_id", &["client_id"], "", "client_id = \"a\"", "client_id = \"b\"")
        .more("client_id_in_body", "client_id_in_body = true")
        .more("client_auth", "client_auth = \"client_secret_post\"")
        .of("client_auth", &[], "", "client_auth = \"client_secret_post\"", "client_auth = \"client_secret_jwt\"")
        .of("scope", &[], "", "scope = \"a\"", "scope = \"b\"")
        .of("params", &[], "", "params = { a = \"b\" }", "params = { a = [\"b\", \"b\"] }")
        .of("headers", &[], "", "headers = { a = \"b\" }", "headers = { a = \"c\" }")
        .more("headers", "headers = { a = \"b\" }")
        .of("secrets", &[], NAMED, "secrets.a.value = \"x-of-one\"", "secrets.a.value = \"y-of-other\"")
        .more("ttl", "ttl = \"2h\"")
        .of("subject_token.file", &["grant"], exchange, "subject_token.file = \"/a\"", "subject_token.file = \"/b\"")
        .of("subject_token.token", &["grant"], exchange, "subject_token.token = \"p\"", "subject_token.token = \"q\"")
        .of("subject_token.token", &["grant"], exchange, "subject_token.token = \"p\"", "subject_token.file = \"p\"")
        .of("subject_token.type", &["grant"], from_file, "", "subject_token.type = \"urn:x:y\"");
    for (key, one, other) in [
        ("assertion.algorithm", "algorithm = \"RS256\"", "algorithm = \"PS256\""),
        (
            "assertion.claims",
            "algorithm = \"RS256\", claims = { sub = \"a\" }",
            "algorithm = \"RS256\", claims = { sub = \"b\" }",
        ),
        (
            "assertion.header",
            "algorithm = \"RS256\", header = { kid = \"a\" }",
            "algorithm = \"RS256\", header = { kid = \"b\" }",
        ),
        ("assertion.lifetime", "algorithm = \"RS256\"", "algorithm = \"RS256\", lifetime = \"1m\""),
        ("assertion.skew", "algorithm = \"RS256\"", "algorithm = \"RS256\", skew = \"1s\""),
    ] {
        let table = |members: &str| format!("assertion = {{ private_key.file = \"rsa.pem\", {members} }}");
        let (one, other) = (table(one), table(other));
        oauth2.of(key, &["grant"], "grant = \"jwt_bearer\"\n", &one, &other);
        oauth2.of(key, &["client_secret"], "", &one, &other);
        let both = "grant = \"jwt_bearer\"\nclient_auth = \"private_key_jwt\"\n";
        oauth2.of(key, &["grant", "client_secret"], both, &one, &other);
    }
    let by_secret = "grant = \"jwt_bearer\"\nallow_weak_secret = true\nassertion.algorithm = \"HS256\"\n\
                     assertion.secret.file = \"good.secret\"\n";
    oauth2.of("assertion.secret.encoding", &["grant"], by_secret, "", "assertion.secret.encoding = \"base64url\"");
    let configs = [self::oauth2(&[], ""), entra(&["tenant"], "token_url = \"https://idp.example/token\"\n")];
    all.push(Change { source: "oauth2", key: "preset", configs });
    let mut entra = Changes { source: "oauth2", base: entra, all };
    entra.of("tenant", &["tenant"], "", "tenant = \"a.example\"", "tenant = \"b.example\"");
    let mut google = Changes { source: "oauth2", base: google, all };
    google
        .of("scope", &["scope"], "", "scope = \"a\"", "scope = \"b\"")
        .of("scope", &["scope"], "", "scope = \"https://a\"", "target_audience = \"https://a\"")
        .of("target_audience", &["scope"], "", "target_audience = \"https://a\"", "target_audience = \"https://b\"");
}

fn of_others(all: &mut Vec<Change>) {
    let answer = "response.token = \"/a\"\nrefresh_token.value = \"r\"\nheaders = { r = \"{{ refresh_token }}\" }\n";
    Changes { source: "http", base: |but, lines| with_parents(http(but, lines)), all }
        .of("url", &["url"], "", "url = \"https://api.example/a\"", "url = \"https://api.example/b\"")
        .more("method", "method = \"PUT\"")
        .of("headers", &[], "", "headers = { a = \"b\" }", "headers = { a = \"c\" }")
        .of("secrets", &[], NAMED, "secrets.a.value = \"x-of-one\"", "secrets.a.value = \"y-of-other\"")
        .of("basic.user", &[], "basic.password.value = \"p\"\n", "basic.user = \"a\"", "basic.user = \"b\"")
        .of("bearer.token", &[], "", "bearer.token = \"p\"", "bearer.token = \"q\"")
        .of("form", &["form"], "", "form = { a = \"{{ secret }}\" }", "form = { b = \"{{ secret }}\" }")
        .of("json", &["form"], "", "json = { a = \"{{ secret }}\" }", "json = { a = [\"{{ secret }}\"] }")
        .of("json", &["form"], "", "json = { a = \"{{ secret }}\" }", "form = { a = \"{{ secret }}\" }")
        .of("response.token", &["response"], "", "response.token = \"/a\"", "response.token = \"/b\"")
        .of("response.expires_in", &["response"], answer, "", "response.expires_in = \"/e\"")
        .of("response.expires_at", &["response"], answer, "", "response.expires_at = \"/e\"")
        .of("response.refresh_token", &["response"], answer, "", "response.refresh_token = \"/e\"")
        .more("ttl", "ttl = \"2h\"");
    Changes { source: "github-app", base: github, all }
        .of("app_id", &["app_id"], "", "app_id = \"1\"", "app_id = \"2\"")
        .of("client_id", &["app_id"], "", "client_id = \"a\"", "client_id = \"b\"")
        .of("installation_id", &["installation_id"], "", "installation_id = 1", "installation_id = 2")
        .of("installation_owner", &["installation_id"], "", "installation_owner = \"a\"", "installation_owner = \"b\"")
        .of("repository", &["installation_id"], "", "repository = \"a/b\"", "repository = \"a/c\"")
        .of("permissions", &[], "", "permissions.contents = \"read\"", "permissions.contents = \"write\"")
        .of("repositories", &[], "", "repositories = [\"a\"]", "repositories = [\"b\"]")
        .more("api_url", "api_url = \"https://ghe.example/api/v3\"")
        .more("ttl", "ttl = \"30m\"");
    Changes { source: "command", base: command, all }
        .of("command", &["command"], "", "command = [\"true\", \"a\"]", "command = [\"true\", \"b\"]")
        .of(
            "secrets",
            &[],
            "env = { A = \"{{ secrets.a }}\" }\n",
            "secrets.a.value = \"x-of-one\"",
            "secrets.a.value = \"y-of-other\"",
        )
        .of("env", &[], "", "env = { A = \"a\" }", "env = { A = \"b\" }")
        .of("response.token", &[], "", "response.token = \"/a\"", "response.token = \"/b\"")
        .of("response.expires_in", &[], "response.token = \"/a\"\n", "", "response.expires_in = \"/e\"")
        .of("response.expires_at", &[], "response.token = \"/a\"\n", "", "response.expires_at = \"/e\"")
        .more("ttl", "ttl = \"2h\"");
}

/// A credential of a source: the config but for it, and two that it may be.
struct Credential {
    source: &'static str,
    key: &'static str,
    base: String,
    contents: [String; 2],
}

fn credentials() -> Vec<Credential> {
    let text = || [SECRET.to_owned(), SECRET.to_uppercase()];
    let keys = || [rsa().to_owned(), RSA.to_owned()];
    let account = |of: &str| service_account(&format!("https://{of}.example/token"));
    let hmac = "grant = \"jwt_bearer\"\nassertion.algorithm = \"HS256\"\n";
    let by_key = "grant = \"jwt_bearer\"\nassertion.algorithm = \"RS256\"\n";
    let cert = oauth2(&["client_secret"], "client_key.file = \"key.pem\"\n");
    let cert_key = oauth2(&["client_secret"], "client_cert.file = \"cert.pem\"\n");
    let refresh = "form = { a = \"{{ refresh_token }}\" }\n";
    let certificates = [CERTIFICATE.to_owned(), CERTIFICATE.repeat(2)];
    [
        ("jwt", "secret", jwt(&["secret"], ""), text()),
        ("jwt", "private_key", jwt(&["secret", "algorithm"], "algorithm = \"RS256\"\n"), keys()),
        ("oauth2", "client_secret", oauth2(&["client_secret"], ""), text()),
        ("oauth2", "client_cert", cert, certificates),
        ("oauth2", "client_key", cert_key, keys()),
        ("oauth2", "refresh_token", oauth2(&["grant"], "grant = \"refresh_token\"\n"), text()),
        ("oauth2", "assertion.private_key", oauth2(&["grant"], by_key), keys()),
        ("oauth2", "assertion.secret", oauth2(&["grant"], hmac), text()),
        ("oauth2", "service_account", google(&["service_account"], ""), [account("a"), account("b")]),
        ("http", "secret", http(&["secret"], ""), text()),
        ("http", "basic.password", http(&[], "basic.user = \"u\"\n"), text()),
        ("http", "refresh_token", http(&["secret", "form"], refresh), text()),
        ("github-app", "private_key", github(&["private_key"], ""), keys()),
        ("command", "secret", command(&[], "env = { A = \"{{ secret }}\" }\n"), text()),
    ]
    // A newline at the end belongs to the file alone.
    .map(|(source, key, base, contents)| (source, key, base, contents.map(|text: String| text.trim_end().to_owned())))
    .map(|(source, key, base, contents)| Credential { source, key, base, contents })
    .into()
}

impl Credential {
    /// The config with one of the two contents, in one of the five places.
    fn config(&self, place: &str, which: usize, home: &mut Home) -> String {
        let (name, content) = (format!("CREDENTIAL_{which}"), &self.contents[which]);
        home.file(&name, content);
        home.set(&name, content);
        home.set("CREDENTIALS_DIRECTORY", &home.path.display().to_string());
        let value = match place {
            "value" => format!("'''{content}'''"),
            "command" => format!("[\"cat\", \"{}\"]", home.path.join(&name).display()),
            _ => format!("\"{name}\""),
        };
        let (header, rest) = self.base.split_once('\n').unwrap();
        format!("{header}\n{}.{place} = {value}\n{rest}", self.key)
    }
}

/// The names of all keys of a table, with those of the tables in it.
fn leaves(prefix: &str, schema: &Value, names: &mut BTreeSet<String>) {
    for (name, key) in schema["properties"].as_object().into_iter().flatten() {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        if key["properties"].is_object() {
            leaves(&name, key, names);
        } else {
            names.insert(name);
        }
    }
}

/// Each source, with all that its token's table may hold, as the schema of the config says.
fn table() -> Vec<(String, BTreeSet<String>)> {
    let whole = schema();
    let token = &whole["properties"]["token"]["additionalProperties"];
    let sources = token["allOf"].as_array().unwrap().iter().map(|of| {
        let mut names = BTreeSet::new();
        leaves("", token, &mut names);
        leaves("", &of["then"], &mut names);
        (of["if"]["properties"]["source"]["const"].as_str().unwrap().to_owned(), names)
    });
    sources.collect()
}

pub(super) fn base(source: &str) -> Base {
    match source {
        "jwt" => jwt,
        "oauth2" => oauth2,
        "http" => http,
        "github-app" => github,
        "command" => command,
        other => panic!("{other} is a source without a config here"),
    }
}

/// Of the first token of a config that lacks nothing there.
fn fingerprint(home: &Home, config: &str) -> String {
    home.file("config.toml", config);
    let loaded = home.load();
    let told = loaded.report.render(false);
    let plan = loaded.plan.unwrap_or_else(|| panic!("{config}\n{told}"));
    assert!(plan.tokens[0].lack.is_none(), "{config}\n{told}");
    data_encoding::HEXLOWER.encode(&plan.tokens[0].fingerprint.0)
}

/// The keys by source that make another token, each shown to do so.
fn counting(home: &Home) -> BTreeSet<(String, String)> {
    let mut counting = BTreeSet::new();
    let mut changes = Vec::new();
    of_jwt(&mut changes);
    of_oauth2(&mut changes);
    of_others(&mut changes);
    for Change { source, key, configs: [one, other] } in changes {
        assert_ne!(fingerprint(home, &one), fingerprint(home, &other), "{source}: {key}\n{one}\n{other}");
        counting.insert((source.to_owned(), key.to_owned()));
    }
    for credential in credentials() {
        let mut same = BTreeSet::new();
        for place in ["file", "value", "env", "credential", "command"] {
            let mut home = self::home();
            let configs = [0, 1].map(|which| credential.config(place, which, &mut home));
            let [one, other] = configs.map(|config| fingerprint(&home, &config));
            assert_ne!(one, other, "{}: {}.{place}", credential.source, credential.key);
            same.insert(one);
            counting.insert((credential.source.to_owned(), format!("{}.{place}", credential.key)));
        }
        // What it is counts, and not where it stands, or whether others may read it.
        let mut home = self::home();
        let key = credential.key;
        let readable = credential.config("file", 0, &mut home);
        let readable =
            readable.replacen(&format!("{key}.file"), &format!("{key}.allow_readable = true\n{key}.file"), 1);
        assert!(readable.contains("allow_readable"), "{readable}");
        same.insert(fingerprint(&home, &readable));
        let both: Value =
            credential.contents.iter().enumerate().map(|(n, text)| (n.to_string(), text.as_str())).collect();
        let plain = credential.config("file", 0, &mut home);
        home.file("CREDENTIAL_0", both.to_string());
        let [one, other] = [0, 1].map(|which| {
            let pointed =
                plain.replacen(&format!("{key}.file"), &format!("{key}.pointer = \"/{which}\"\n{key}.file"), 1);
            fingerprint(&home, &pointed)
        });
        assert_ne!(one, other, "{}: {key}.pointer", credential.source);
        same.insert(one);
        counting.insert((credential.source.to_owned(), format!("{key}.pointer")));
        assert_eq!(same.len(), 1, "{}: {}", credential.source, credential.key);
    }
    counting
}

/// The table of keys is the list: a new key that nobody decided about fails here.
#[test]
fn each_key_makes_another_token_or_does_not_count() {
    let home = home();
    let mut counting = counting(&home);
    let mut bases = BTreeSet::new();
    for (source, keys) in table() {
        let (base, mut unused) = (base(&source), 0);
        let before = fingerprint(&home, &base(&[], ""));
        assert!(bases.insert(before.clone()), "{source} is like another source");
        for key in keys.iter().filter(|key| *key != "source") {
            let covers = |kept: &str| key == kept || key.strip_prefix(kept).is_some_and(|rest| rest.starts_with('.'));
            // Tried with the credentials.
            if key.ends_with(".allow_readable") {
                continue;
            }
            let kept = KEPT.iter().find(|(kept, ..)| covers(kept));
            let counts = counting.remove(&(source.clone(), key.clone()));
            assert!(counts != kept.is_some(), "{source}: does a token follow from {key}? Decide it in this file");
            let Some((_, line, why)) = kept else { continue };
            let (same, before) = if *line == LOGIN {
                let refresh = "grant = \"refresh_token\"\nrefresh_token.file = \"good.secret\"\n";
                let before = fingerprint(&home, &base(&["grant"], refresh));
                (base(&["grant"], &format!("{refresh}{line}")), before)
            } else {
                (base(&[], line), before.clone())
            };
            assert_eq!(fingerprint(&home, &same), before, "{source}: {key} ({why})");
            unused += 1;
        }
        assert!(unused > 10, "{source}");
    }
    assert_eq!(counting, BTreeSet::new(), "not in the table of keys");
}

fn digest(config: String) -> String {
    data_encoding::HEXLOWER.encode(&planned(config)[0].fingerprint.0)
}

/// The literals are of version 0.1.0: an upgrade obtains nothing anew.
#[test]
fn digests_are_what_they_were() {
    let p256 = "algorithm = \"ES256\"\nkey = \"k\"\nkey_claim = \"kid\"\nprivate_key.file = \"key.pem\"\nlifetime = \"never\"\n\
                rotate_every = \"1d\"\n";
    let p256 =
        format!("[token.t]\nsource = \"jwt\"\n{p256}header.typ = \"at+jwt\"\nclaims = {{ nbf = true, jti = false }}\n");
    let refresh =
        "grant = \"refresh_token\"\nrefresh_token.file = \"good.secret\"\nclient_auth = \"client_secret_post\"\n";
    let exchange = "grant = \"token_exchange\"\nsubject_token.file = \"/run/id.jwt\"\n";
    let bearer = "grant = \"jwt_bearer\"\nassertion = { algorithm = \"ES256\", private_key.file = \"key.pem\", claims = { sub = \"a\" }, header = { kid = \"k\" } }\n";
    let by_key = "assertion = { algorithm = \"ES256\", private_key.file = \"key.pem\", lifetime = \"1m\" }\n";
    let tls = "client_cert.file = \"cert.pem\"\nclient_key.file = \"key.pem\"\n";
    let both = "client_auth = \"private_key_jwt\"\n";
    let by_certificate = "client_cert.file = \"cert.pem\"\nclient_key.value = '''\n";
    let by_certificate = &format!("{by_certificate}{RSA}'''\n");
    let account =
        json!({"client_email": "a@b", "private_key_id": "k1", "private_key": RSA, "token_uri": "https://a.example/t"});
    let account = format!("service_account.value = '''{account}'''\nassertion.claims.sub = \"me\"\n");
    let portal = "bearer.token = \"portal2\"\nheaders = { x = \"{{ token.portal2 }}\" }\nresponse.expires_in = \"/e\"\nttl = \"90s\"\n";
    let portal2 = http(&[], "").replace("token.portal]", "token.portal2]");
    let body = "json = { a = [\"{{ secret }}\", 1], b = { c = true } }\nmethod = \"PUT\"\n";
    let output =
        "env = { A = \"{{ secret }}\" }\nsecret.file = \"good.secret\"\nresponse = { token = \"/t\" }\nttl = \"1h\"\n";
    let digests = [
        ("jwt", digest(token(""))),
        ("jwt, base64", digest(token("secret.encoding = \"base64\"\nallow_weak_secret = true\n"))),
        ("jwt, p256", digest(p256)),
        ("oauth2", digest(oauth2(&[], "scope = \"a b\"\nparams = { x = [\"1\", \"2\"] }\nttl = \"1h\"\n"))),
        ("oauth2, issuer", digest(oauth2(&["token_url"], "issuer = \"https://idp.example\"\n"))),
        ("oauth2, refresh", digest(oauth2(&["grant"], refresh))),
        ("oauth2, exchange", digest(oauth2(&["grant"], exchange))),
        ("oauth2, bearer", digest(oauth2(&["grant"], bearer))),
        ("oauth2, by key", digest(oauth2(&["client_secret"], by_key))),
        ("oauth2, tls", digest(oauth2(&["client_secret"], tls))),
        ("oauth2, by secret", digest(oauth2(&[], "client_auth = \"client_secret_jwt\"\nallow_weak_secret = true\n"))),
        ("oauth2, two assertions", digest(oauth2(&["grant", "client_secret"], &format!("{bearer}{both}")))),
        ("oauth2, entra", digest(entra(&[], ""))),
        ("oauth2, entra by certificate", digest(entra(&["client_secret"], by_certificate))),
        ("oauth2, google", digest(google(&["service_account"], &account))),
        ("http", digest(http(&[], ""))),
        ("http, with all", digest(http(&["response"], &format!("response.token = \"/token\"\n{portal}")) + &portal2)),
        ("http, json", digest(http(&["form"], body))),
        (
            "github-app",
            digest(github(&["private_key", "installation"], &format!("{GITHUB}private_key.value = '''\n{RSA}'''\n"))),
        ),
        ("command", digest(command(&[], ""))),
        ("command, with all", digest(command(&[], output))),
    ];
    let told: String = digests.iter().map(|(what, digest)| format!("{digest} {what}\n")).collect();
    assert_eq!(told, DIGESTS);
}

const DIGESTS: &str = "\
03f9db18a8baeecc3a9de5a17ad48a5e jwt\n\
f04e59e2d72695b38b29e7e997604dfb jwt, base64\n\
afc9a877525b71d95c73fa5d6c0008b3 jwt, p256\n\
c2d23267aae1f38ef4e2fd9f5a3b6fd6 oauth2\n\
1450121ce2acf90907c32e8df2a91c49 oauth2, issuer\n\
8d232f8e4829fa64ba3603a6bf9a5679 oauth2, refresh\n\
513afba837bb542e39aeff422964ca2b oauth2, exchange\n\
af5b4bf0b84e4db1048d9cf3d73eb61b oauth2, bearer\n\
66f59641df997f88922dda6a998de1bb oauth2, by key\n\
562a828d128b632f95e7c5378ffb35fb oauth2, tls\n\
1cc28000cc2ac0e11eeea3831a156028 oauth2, by secret\n\
557c1bf51ad73dba634e31fffaadb73a oauth2, two assertions\n\
edbb8bd1a041c6d6d0689e636234c20b oauth2, entra\n\
6b31c707b190e4de07e69387ea20fc51 oauth2, entra by certificate\n\
4c51310c4fd8d6c4e290f1e3a4fb0e77 oauth2, google\n\
c2d48d69dd8ee4ff004addf4f73f2790 http\n\
b7d81337376c70838ec3f781e2403637 http, with all\n\
289cc4d0b4dfbfce64669b6e7f880ea2 http, json\n\
35c7797850278a3cf8f56f5cb5bfc26e github-app\n\
c6a2354a97ec95914494bea5ce4b956f command\n\
7cf48cfa4db9cf4072f6ab8596637749 command, with all\n";

const GITHUB: &str = "installation_owner = \"acme\"\npermissions = { contents = \"read\", issues = \"write\" }\n\
                      repositories = [\"jobs\"]\n";

/// An RSA key, made for this test.
const RSA: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MIIEvwIBADANBgkqhkiG9w0BAQEFAASCBKkwggSlAgEAAoIBAQChiAxuBK0MKIKP\n\
lgGtgv9G0kj3N+R8ha3slzeLUEMQnENRkRZDAkXEmyH8pWs1PoFLDFei76Lzicxh\n\
wSTsRFiELVY/SOfciTh+sz+/vVPDh+vKu8v1vos1G3/xGOf9NhUOwaEMVXJfdhSF\n\
vaN7iY8dZ7KXQLm75mIPI2ofeP6ST4l52Gv59Bsa57sJXVo6XKGCVc2n0I7ycM2Q\n\
ccDZ95TeQ1E+3cOgDJzxWewojMcBwRlAalqgKQMnO+0nVYgev+roxIB8WgwhVCMY\n\
AZ3bfLOjCM5JXLd+JZv3sjpANQKiPOYzg+2217tV8CZlVptMK51q4J7HBqVO7xbq\n\
2aph3YCtAgMBAAECggEANoM4VqSjVbgSH6zrEghkaB0tXKjzJgbjJDYAG7bReziR\n\
C2TgU2rf6rLD7IRSwtw+O/qFVMp0fqXhYJgTAt0p1imKsr7C6M0yUKfjeqzFKPak\n\
330zHtLYHesS6WWTXQO0ZY947zWi7I5n7J6MHnPU5YKKZbsFM2FTdHJqLQbjOrKt\n\
me+dON7hyDoUVBWtmu3h57VHzHpBfDFZkvFRWADiBBTridtenzo7o4xssvDQIe3D\n\
spuGturQp2kU8fWimrF1zmhZXfU01Op2neKRken2ZURNc9Ut5G604QSXEBX9Ft0+\n\
GUjBra9gMqyWo+xe7xbL/Ukh9zoUyDSs9U85HfPjTQKBgQDN0RiVZy3I399jd3Ix\n\
n3edRvh3e0ljUQyEB7YL/HtHHcWp2wuP0hCHDxdsJGbwzIBRBV8Z5to85H0Hx5Kl\n\
ZuB0DNY/7G41inxQmYruYrcasUFjiB/LTUN/mw3fLPh3qzx62oOSXi7ogpR97j9C\n\
xDVELyI0cIzdXPTNxXxluRI90wKBgQDI6rM7O9u3KWHyosKF5w0aHO6p/Wr8eC/1\n\
0lygsrnBD4BPE6S7IV8NN4HqYmsuOdCRl98Odf58J/zf/cYYzbPGcvIEQP9hAsxA\n\
unoSU5xOeDBqUzNXhF2KeejGBL6GoEGV/qZuvZdV2hLrGG6q9ihW2RcfLayJVXI+\n\
wH/WU4W3fwKBgQDESq/PjeA0vI8pJjpa6WQDNDS0f3i2qA3vvgr504sfgF2MacTV\n\
Hdt1dAc6tF0ZO3EF1MGmym1JtgEo8kYCSeO3yqZrwOo7ViDKHiZKxQstAfEDJEhu\n\
dPnzMcZBG3q9Zyr/YHgrmHfUePV2RUtAOjEzHmDY8p7mYEl6FudVfPTQ0QKBgQCj\n\
pN4U+d0sYy1fFghATf+S7EvL8xenyTCvFQbS8J9xSvHj9ojuzfCAcFyFjmHkBb0G\n\
SN+qBJshfuRtgGJQI4MwuMC8jEA1QLUiZ4Az2xvtoeE1SM0BlFMoDcF1P7n7Jx4k\n\
UIQ4oH1ZtMRB7eV9o/8ZNbqqb2YfeZQS3nGBHQhFewKBgQC9/INIKatBq74/xjCA\n\
cMCtW5hifPM6aTPspbOn5z6qK894SdKCdrIsQlDVxKpobAnU3BaE66S5xlO2thJG\n\
tq/LXPCcrYjcIUqH1eej4v5A2WuYpEopW/jj/lqqUUyT55rlNHEd2QUw5RaUccxS\n\
vSvt0SH4Tc7b7WcXGQBYTR8Krw==\n\
-----END PRIVATE KEY-----\n";
