//! Each way in which a client authenticates, at each issuer that knows it, and ids and secrets with characters that break what
//! is built carelessly.

use serde_json::{Value, json};

use crate::host::{field, sha256, token};
use crate::issuer::Issuer;
use support::Sandbox;
use support::pki::Pki;

/// Characters that end, split or change what is not encoded; a client of OAuth may have all of them (RFC 6749 A).
const ODD_ID: &str = "a:b %2B+c&=~*";
const ODD_SECRET: &str = ":%+ ~*'()\"<>#?&=/%41%zz\\ end";
const LONG: &str = "a-secret-of-sixty-four-characters-and-then-some-for-the-longest-hash";

struct Way {
    id: &'static str,
    auth: &'static str,
    algorithm: Option<&'static str>,
    secret: Option<&'static str>,
}

const WAYS: [Way; 9] = [
    Way { id: "basic", auth: "client_secret_basic", algorithm: None, secret: Some(LONG) },
    Way { id: ODD_ID, auth: "client_secret_basic", algorithm: None, secret: Some(ODD_SECRET) },
    Way { id: "post", auth: "client_secret_post", algorithm: None, secret: Some(ODD_SECRET) },
    Way { id: "hs256", auth: "client_secret_jwt", algorithm: Some("HS256"), secret: Some(LONG) },
    Way { id: "hs512", auth: "client_secret_jwt", algorithm: Some("HS512"), secret: Some(LONG) },
    Way { id: "rs256", auth: "private_key_jwt", algorithm: Some("RS256"), secret: None },
    Way { id: "ps256", auth: "private_key_jwt", algorithm: Some("PS256"), secret: None },
    Way { id: "es256", auth: "private_key_jwt", algorithm: Some("ES256"), secret: None },
    Way { id: "eddsa", auth: "private_key_jwt", algorithm: Some("EdDSA"), secret: None },
];

impl Way {
    /// A token by this way, and the files that it reads.
    fn token(&self, sandbox: &Sandbox, number: usize, token_url: &str) -> String {
        let mut lines = format!(
            "source = \"oauth2\"\ntoken_url = \"{token_url}\"\ngrant = \"client_credentials\"\nclient_id = {}\nclient_auth = \"{}\"\n",
            json!(self.id),
            self.auth
        );
        if let Some(secret) = self.secret {
            sandbox.put(&format!("{number}.secret"), secret);
            lines += &format!("client_secret.file = \"{number}.secret\"\n");
        }
        match (self.algorithm, self.secret) {
            (Some(algorithm), None) => {
                lines += &format!("assertion = {{ algorithm = \"{algorithm}\", private_key.file = \"{number}.key\" }}");
            }
            (Some(algorithm), Some(_)) => lines += &format!("assertion = {{ algorithm = \"{algorithm}\" }}"),
            _ => {}
        }
        token(&format!("t{number}"), &lines)
    }

    fn key(&self, sandbox: &Sandbox, number: usize) -> Option<String> {
        self.secret
            .is_none()
            .then(|| Pki::at(sandbox.dir()).key(&number.to_string(), self.algorithm.unwrap_or_default()))
    }
}

#[test]
fn every_way_to_prove_itself_at_an_openid_provider() {
    let sandbox = Sandbox::new();
    let client = |(number, way): (usize, &Way)| {
        let mut client = json!({"client_id": way.id, "token_endpoint_auth_method": way.auth,
            "grant_types": ["client_credentials"], "redirect_uris": [], "response_types": []});
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                client[name] = value;
            }
        };
        set("client_secret", way.secret.map(Value::from));
        set("pem", way.key(&sandbox, number).map(Value::from));
        set("token_endpoint_auth_signing_alg", way.algorithm.map(Value::from));
        client
    };
    let mut clients: Vec<Value> = WAYS.iter().enumerate().map(client).collect();
    clients.push(json!({"client_id": "public", "token_endpoint_auth_method": "none", "grant_types": ["refresh_token"],
        "redirect_uris": [], "response_types": [], "scope": "read write offline_access"}));
    let test = "every_way_to_prove_itself_at_an_openid_provider";
    let Some(idp) = Issuer::oidc(test, &sandbox, &json!(clients), None) else { return };
    sandbox.put("public.refresh", idp.first_refresh_token("public"));
    let tokens = WAYS.iter().enumerate().map(|(number, way)| way.token(&sandbox, number, &idp.token_url));
    let public = format!(
        "source = \"oauth2\"\ntoken_url = \"{}\"\ngrant = \"refresh_token\"\nclient_id = \"public\"\nrefresh_token.file = \"public.refresh\"",
        idp.token_url
    );
    sandbox.config(tokens.chain([token("public", &public)]).collect::<String>());
    sandbox.ours(&["once"]).expect(0);
    for (number, way) in WAYS.iter().enumerate() {
        let asked = idp.asked_by(way.id);
        assert_eq!((asked.len(), &asked[0]["method"]), (1, &json!(way.auth)), "{}: {asked:#?}", way.id);
        assert_eq!(asked[0]["sha256"], json!(sha256(&sandbox, &format!("t{number}"))), "{}", way.id);
        let basic = asked[0]["authorization"].is_string();
        assert_eq!(basic, way.auth == "client_secret_basic", "{}: one way alone is used", way.id);
    }
    let public = &idp.asked_by("public")[0];
    assert_eq!((&public["method"], field(public, "client_id")), (&json!("none"), &json!("public")));

    // A second one is made for each request: the provider refuses a jti that it has seen.
    let daemon = sandbox.start();
    assert!(sandbox.rotate(&["t3", "t5", "t8"]), "{}", daemon.log());
    daemon.stop();
}

#[test]
fn every_way_to_prove_itself_at_an_authorization_server() {
    let sandbox = Sandbox::new();
    // This server joins no letters beyond ASCII to mischief, and undoes percent-encoding alone, as many do: a plus stays one.
    let umlauts = Way { id: "umlauts", auth: "client_secret_basic", algorithm: None, secret: Some("p @+%41:ü&=") };
    let ways: Vec<Way> = WAYS.into_iter().chain([umlauts]).collect();
    let client = |(number, way): (usize, &Way)| {
        let auth = if way.auth.ends_with("_jwt") { "client_assertion_jwt" } else { way.auth };
        let mut client = json!({"id": way.id, "auth": auth, "grants": ["client_credentials"], "scope": "read"});
        if let Some(secret) = way.secret {
            client["secret"] = secret.into();
        }
        if let Some(key) = way.key(&sandbox, number) {
            client["key"] = key.into();
            client["algorithm"] = way.algorithm.unwrap_or_default().replace("EdDSA", "Ed").into();
        }
        client
    };
    let clients: Vec<Value> = ways.iter().enumerate().map(client).collect();
    let test = "every_way_to_prove_itself_at_an_authorization_server";
    let Some(server) = Issuer::authlib(test, &sandbox, &json!(clients)) else { return };
    let tokens = ways.iter().enumerate().map(|(number, way)| way.token(&sandbox, number, &server.token_url));
    sandbox.config(tokens.collect::<String>());
    let ran = sandbox.ours(&["once"]);
    for (number, way) in ways.iter().enumerate() {
        let asked = server.asked_by(way.id);
        assert!(asked.iter().any(|asked| asked["status"] == 200), "{} {:?}: {}", way.auth, way.id, ran.stderr);
        assert!(!sandbox.read(&format!("t{number}.token")).is_empty(), "{}", way.id);
    }
    ran.expect(0);
}
