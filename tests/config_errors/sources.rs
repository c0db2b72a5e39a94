//! Owns: what people are told of a source that is wrong, and what plan comes of one that is right: oauth2, http, github-app
//! and command.
//! Does not: ask any endpoint.

use std::sync::{Arc, OnceLock};

use renewd::core::settings::{
    ClientAuth, Grant, Installation, SourcePlan, SubjectToken, TokenEndpoint, TokenName, TokenPlan,
};
use serde_json::json;

use super::*;

/// A certificate for `P256`, made for this test.
pub(super) const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBgjCCASmgAwIBAgIUE7QLJZBRuzuksDd58OxQVsXnTb8wCgYIKoZIzj0EAwIw\n\
FjEUMBIGA1UEAwwLcmVuZXdkLXRlc3QwIBcNMjYxMTI1MDMwODQ5WhgPMjEyNjEx\n\
MDEwMzA4NDlaMBYxFDASBgNVBAMMC3JlbmV3ZC10ZXN0MFkwEwYHKoZIzj0CAQYI\n\
KoZIzj0DAQcDQgAEncNwYxarZykDa1TlCmMUQgnzppQe2NA25vgL/1/zO2ItOTx2\n\
ZtRrJIo55+Ot9tnjVSHs0P2x6B5hJ78L+b2HaKNTMFEwHQYDVR0OBBYEFLk5ZW1x\n\
CN3I3CnoB+cdEAAOCvAnMB8GA1UdIwQYMBaAFLk5ZW1xCN3I3CnoB+cdEAAOCvAn\n\
MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgUd3TNu2qrHyzgv1a\n\
/Ar+EAFk/LfoLblOo+byO2NrksACIAx7mbVGpHkiB43WqtQA6FVJjC5SJKuwEUrY\n\
Ei95TN9S\n\
-----END CERTIFICATE-----\n";

/// An RSA key as PEM, made once a run.
pub(super) fn rsa() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(|| {
        use aws_lc_rs::encoding::AsDer;
        let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        pem::encode(&pem::Pem::new("PRIVATE KEY", pair.as_der().unwrap().as_ref().to_vec()))
    })
}

pub(super) fn service_account(token_uri: &str) -> String {
    let account = json!({
        "type": "service_account",
        "client_email": "jobs@project.iam.gserviceaccount.com",
        "private_key_id": "k1",
        "private_key": rsa(),
        "token_uri": token_uri,
    });
    account.to_string()
}

pub(super) fn home() -> Home {
    let mut home = Home::new();
    home.set("PATH", "/usr/bin:/bin");
    home.file("key.pem", P256);
    home.file("rsa.pem", rsa());
    home.file("cert.pem", CERTIFICATE);
    home.file("two-lines.secret", "one\ntwo\n");
    home.file("account.json", service_account("https://oauth2.googleapis.com/token"));
    home.file("lost.json", service_account("http://evil.example/token"));
    home
}

/// What `check` says of a config in such a home.
fn told(config: String) -> String {
    let home = home();
    home.file("config.toml", config);
    home.check()
}

/// The plan of a config that is right.
pub(super) fn planned(config: String) -> Vec<Arc<TokenPlan>> {
    let home = home();
    home.file("config.toml", config);
    let loaded = home.load();
    assert!(loaded.report.is_empty(), "{}", loaded.report.render(false));
    loaded.plan.unwrap().tokens
}

/// A good token of client_credentials, with some lines of its own; without those that begin with a word of `but`.
pub(super) fn oauth2(but: &[&str], lines: &str) -> String {
    let good = "[token.api]\nsource = \"oauth2\"\ntoken_url = \"https://idp.example/token\"\ngrant = \"client_credentials\"\n\
                client_id = \"jobs\"\nclient_secret.file = \"good.secret\"\n";
    changed(good, but, lines)
}

pub(super) fn http(but: &[&str], lines: &str) -> String {
    let good = "[token.portal]\nsource = \"http\"\nurl = \"https://api.example/token\"\nform = { key = \"{{ secret }}\" }\n\
                secret.file = \"good.secret\"\nresponse = { token = \"/token\" }\n";
    changed(good, but, lines)
}

pub(super) fn github(but: &[&str], lines: &str) -> String {
    let good = "[token.gh]\nsource = \"github-app\"\napp_id = \"12345\"\nprivate_key.file = \"rsa.pem\"\n\
                installation_id = \"67890\"\n";
    changed(good, but, lines)
}

pub(super) fn command(but: &[&str], lines: &str) -> String {
    changed("[token.cmd]\nsource = \"command\"\ncommand = [\"true\", \"--now\"]\n", but, lines)
}

pub(super) fn google(but: &[&str], lines: &str) -> String {
    let good = "[token.g]\nsource = \"oauth2\"\npreset = \"google-service-account\"\nservice_account.file = \"account.json\"\n\
                scope = \"https://www.googleapis.com/auth/devstorage.read_only\"\n";
    changed(good, but, lines)
}

pub(super) fn entra(but: &[&str], lines: &str) -> String {
    let good = "[token.e]\nsource = \"oauth2\"\npreset = \"entra\"\ntenant = \"contoso.example\"\nclient_id = \"jobs\"\n\
                client_secret.file = \"good.secret\"\n";
    changed(good, but, lines)
}

pub(super) fn changed(good: &str, but: &[&str], lines: &str) -> String {
    let kept = good.lines().filter(|line| !but.iter().any(|word| line.starts_with(word)));
    kept.map(|line| format!("{line}\n")).collect::<String>() + lines
}

fn jwt(lines: &str) -> String {
    token("") + lines
}

fn with_parent(config: String) -> String {
    config + &command(&[], "").replace("token.cmd", "token.p")
}

macro_rules! told {
    ($($name:ident: $config:expr;)*) => {
        $(
            #[test]
            fn $name() {
                insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "../snapshots/config_errors", omit_expression => true }, {
                    insta::assert_snapshot!(stringify!($name), told($config));
                });
            }
        )*
    };
}

told! {
    github_rules_beyond_its_hour: github(&[], "rotate_before = \"2h\"\nttl = \"90m\"\nretry.max = \"2h\"\n");
    github_interval_of_an_hour: github(&[], "min_interval = \"1h\"\n");
    github_ttl_of_its_own: github(&[], "ttl = \"10m\"\nrotate_every = \"10m\"\n");
    ttl_with_an_interval_that_holds_back: oauth2(&[], "ttl = \"1h\"\nmin_interval = \"50m\"\n");
    template_of_a_token_that_is_not_known: oauth2(&[], "output = [{ format = \"template\", path = \"out/a\", template = \"vain.tmpl\" }]\n");
    client_secret_jwt_with_a_key: oauth2(&["client_secret"], "client_auth = \"client_secret_jwt\"\nclient_secret.file = \"cert.pem\"\nallow_weak_secret = true\n");
    source_keys_of_another: oauth2(&[], "algorithm = \"HS256\"\nlifetime = \"1h\"\nskew = \"1s\"\nurl = \"https://x.example\"\napp_id = 1\ncommand = [\"true\"]\n");
    source_absent_but_plain: oauth2(&["source"], "");
    source_unknown_but_plain: http(&[], "").replace("\"http\"", "\"https\"");
    secrets_not_there: http(&[], "headers = { a = \"{{ secrets.pasword }}\", b = \"{{ secrets.other }}\" }\nsecrets.password.file = \"good.secret\"\n");
    secrets_unused: command(&[], "secrets.a.file = \"good.secret\"\nsecrets.b.file = \"good.secret\"\nenv = { A = \"{{ secrets.a }}\" }\n");
    secrets_of_no_place: oauth2(&[], "secrets.a = {}\nsecrets.b.fiel = \"x\"\nparams = { a = \"{{ secrets.a }}{{ secrets.b }}\" }\n");
    secrets_of_no_table: oauth2(&[], "secrets.\"a b\".file = \"good.secret\"\nsecrets.b = \"hunter2\"\nparams = { b = \"{{ secrets.b }}\" }\n");
    secrets_that_are_a_text: http(&[], "secrets = \"hunter2\"\n");
    secrets_that_lack_a_file: oauth2(&[], "secrets.a.file = \"none\"\nparams = { a = \"{{ secrets.a }}\" }\n");
    secrets_at_a_jwt: jwt("secrets.a.file = \"good.secret\"\n");
    oauth2_placeholders_that_are_none: oauth2(&[], "params = { a = \"{{ secret }}\", b = \"{{ refresh_token }}\", c = \"{{ hunter2 }}\" }\n");
    oauth2_headers_that_are_set: oauth2(&[], "headers = { Authorization = \"a\", content-type = \"b\", host = \"c\", user-agent = \"d\", \"a b\" = \"e\" }\n");
    basic_beside_bearer: with_parent(http(&[], "bearer.token = \"p\"\nbasic = { user = \"a:b\", password.file = \"good.secret\" }\n"));
    basic_without_a_password: http(&[], "basic = { user = \"a\", pasword = \"hunter2\" }\nheaders = { authorization = \"x\" }\n");
    user_agent_of_two_lines: github(&[], "user_agent = \"a\\nb\"\n");
    oauth2_grant_with_a_slip: oauth2(&["grant"], "grant = \"client-credential\"\n");
    oauth2_nothing_given: "[token.api]\nsource = \"oauth2\"\n".into();
    oauth2_wrong_words: oauth2(&["grant"], "grant = \"client-credentials\"\nclient_auth = \"basic\"\npreset = \"azure\"\n");
    oauth2_endpoint_twice: oauth2(&[], "issuer = \"https://idp.example\"\n");
    oauth2_endpoint_is_no_url: oauth2(&["token_url"], "token_url = \"idp.example/token\"\n");
    oauth2_endpoint_with_a_password: oauth2(&["token_url"], "token_url = \"https://me:hunter2@idp.example/token\"\n");
    oauth2_endpoint_with_a_fragment: oauth2(&["token_url"], "token_url = \"https://idp.example/token#here\"\n");
    oauth2_endpoint_in_clear: oauth2(&["token_url"], "token_url = \"http://idp.example/token\"\n");
    oauth2_issuer_with_a_query: oauth2(&["token_url"], "issuer = \"https://idp.example?a=b\"\n");
    oauth2_client_without_a_name: oauth2(&["client_id"], "");
    oauth2_client_without_a_proof: oauth2(&["client_secret"], "");
    oauth2_client_with_two_proofs: oauth2(&[], "client_cert.file = \"cert.pem\"\nclient_key.file = \"key.pem\"\n");
    oauth2_client_auth_against_what_is_given: oauth2(&[], "client_auth = \"tls_client_auth\"\n");
    oauth2_client_auth_none_with_a_secret: oauth2(&[], "client_auth = \"none\"\n");
    oauth2_client_in_the_body_anyway: oauth2(&[], "client_auth = \"client_secret_post\"\nclient_id_in_body = true\n");
    oauth2_client_raw_with_a_colon: oauth2(&["client_id"], "client_id = \"a:b\"\nclient_auth = \"client_secret_basic_raw\"\n");
    oauth2_certificate_without_its_key: oauth2(&["client_secret"], "client_cert.file = \"cert.pem\"\n");
    oauth2_certificate_is_a_key: oauth2(&["client_secret"], "client_cert.file = \"key.pem\"\nclient_key.file = \"cert.pem\"\n");
    oauth2_secret_nowhere: oauth2(&["client_secret"], "client_secret = {}\n");
    oauth2_secret_as_a_string: oauth2(&["client_secret"], "client_secret = \"hunter2\"\n");
    oauth2_secret_missing: oauth2(&["client_secret"], "client_secret.file = \"gone.secret\"\n");
    oauth2_secret_of_two_lines: oauth2(&["client_secret"], "client_secret.file = \"two-lines.secret\"\n");
    oauth2_secret_inline_of_two_lines: oauth2(&["client_secret"], "client_secret.value = \"hunter2\\nhunter3\"\n");
    oauth2_refresh_token_with_another_grant: oauth2(&[], "refresh_token.file = \"good.secret\"\n");
    oauth2_refresh_token_absent: oauth2(&["grant"], "grant = \"refresh_token\"\n");
    // A warning: there are issuers that do not rotate them.
    oauth2_login_wrong: oauth2(
        &["grant", "client_secret"],
        "grant = \"refresh_token\"\nlogin = { flow = \"phone\", scope = \"a  b\", params = { state = \"x\", scope = \"y\" } }\n",
    );
    oauth2_login_without_its_endpoint: oauth2(
        &["grant", "client_secret"],
        "grant = \"refresh_token\"\nlogin = { flow = \"device\" }\n",
    );
    oauth2_login_with_another_grant: oauth2(&[], "login = { flow = \"device\" }\ndevice_authorization_url = \"https://a/d\"\n");
    oauth2_login_absent: oauth2(&[], "device_authorization_url = \"https://a/d\"\n");
    oauth2_refresh_token_shared: {
        let one = oauth2(&["grant", "client_secret"], "grant = \"refresh_token\"\nrefresh_token.file = \"good.secret\"\n");
        format!("{one}{}", one.replace("api]", "second]"))
    };
    oauth2_subject_token_absent: oauth2(&["grant"], "grant = \"token_exchange\"\n");
    oauth2_subject_token_wrong: oauth2(&["grant"], "grant = \"token_exchange\"\nsubject_token = { file = \"a\", token = \"b\", type = \"jwt\" }\n");
    oauth2_subject_token_nowhere: oauth2(&["grant"], "grant = \"token_exchange\"\nsubject_token = { type = \"urn:x:y\" }\n");
    oauth2_subject_token_itself: oauth2(&["grant"], "grant = \"token_exchange\"\nsubject_token.token = \"eyJhbGciOiJIUzI1NiJ9.e30.c2VjcmV0LXNpZ25hdHVyZQ/\"\n");
    oauth2_assertion_with_another_grant: oauth2(&[], "assertion = { algorithm = \"RS256\", private_key.file = \"rsa.pem\" }\n");
    oauth2_assertion_absent: oauth2(&["grant", "client_secret"], "grant = \"jwt_bearer\"\n");
    oauth2_assertion_without_algorithm_and_key: oauth2(&["grant", "client_secret"], "grant = \"jwt_bearer\"\nassertion = { claims = { sub = \"x\" } }\n");
    oauth2_assertion_with_the_wrong_key: oauth2(&["grant", "client_secret"], "grant = \"jwt_bearer\"\nassertion = { algorithm = \"RS256\", private_key.file = \"key.pem\" }\n");
    oauth2_assertion_that_dates_itself: oauth2(&["grant", "client_secret"], "grant = \"jwt_bearer\"\n[token.api.assertion]\nalgorithm = \"ES256\"\nprivate_key.file = \"key.pem\"\nlifetime = \"0s\"\nclaims = { exp = 1, jti = \"x\" }\nheader = { alg = \"none\" }\n");
    oauth2_private_key_jwt_with_a_secret: oauth2(&["client_secret"], "client_auth = \"private_key_jwt\"\nassertion = { algorithm = \"HS256\", secret.file = \"good.secret\" }\n");
    oauth2_client_secret_jwt_with_a_key: oauth2(&[], "client_auth = \"client_secret_jwt\"\nassertion = { algorithm = \"RS256\", private_key.file = \"rsa.pem\" }\n");
    oauth2_client_secret_jwt_weak: oauth2(&["client_secret"], "client_auth = \"client_secret_jwt\"\nclient_secret.file = \"weak.secret\"\n");
    oauth2_scope_wrong: oauth2(&[], "scope = \"read,  \\\"write\\\"\"\n");
    oauth2_params_of_our_own: oauth2(&[], "params = { grant_type = \"x\", client_secret = \"hunter2\", audience = [\"a\", 3], n = 1 }\n");
    google_nothing_given: google(&["service_account", "scope"], "");
    google_contradicted: google(&[], "target_audience = \"https://a.example\"\ntoken_url = \"https://idp.example\"\ntenant = \"x\"\nassertion = { algorithm = \"HS256\", claims = { iss = \"me\" } }\n");
    google_file_is_no_account: google(&["service_account"], "service_account.file = \"good.secret\"\n");
    google_file_points_elsewhere: google(&["service_account"], "service_account.file = \"lost.json\"\n");
    google_keys_without_the_preset: oauth2(&[], "service_account.file = \"account.json\"\ntarget_audience = \"x\"\n");
    entra_nothing_given: entra(&["tenant", "client_id", "client_secret"], "");
    entra_contradicted: entra(&[], "token_url = \"https://login.example/token\"\ngrant = \"refresh_token\"\nclient_cert.file = \"cert.pem\"\n");
    entra_tenant_wrong: entra(&["tenant"], "tenant = \"contoso/../x\"\n");
    http_nothing_given: "[token.portal]\nsource = \"http\"\n".into();
    http_method_and_body: http(&[], "method = \"get\"\njson = { a = 1 }\n") + &http(&[], "method = \"GET\"\n").replace("portal", "other");
    http_url_in_clear: http(&["url"], "url = \"http://api.example/{{ secret }}\"\n");
    http_url_of_an_unknown_host: http(&["url"], "url = \"https://{{ secret }}.example/token\"\n");
    http_placeholders_wrong: http(&[], "headers = { a = \"{{ secrt }}\", b = \"{{ secret\", c = \"{{ refresh_token }}\", d = \"hunter{{2}}\" }\n");
    http_placeholder_without_secret: http(&["secret"], "");
    http_secret_used_nowhere: http(&["form"], "refresh_token.file = \"good.secret\"\n");
    http_headers_of_our_own: http(&[], "bearer.token = \"portal2\"\nheaders = { Authorization = \"Basic hunter2\", host = \"x\", content-length = \"1\", Content-Type = \"a/b\", \"a b\" = \"c\", x = \"é\", Y = \"1\", y = \"2\", n = 1 }\n");
    http_bearer_unknown: http(&[], "bearer = { token = \"sunbird\" }\n") + &output("format = \"token\"\npath = \"out/a\"\n").replace("sunbird", "sunbrid");
    http_bearer_is_the_token: http(&[], "bearer = \"eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl\"\n");
    http_circle: http(&[], "bearer.token = \"b\"\n") + &http(&[], "headers = { x = \"{{ token.portal }}\" }\n").replace("token.portal]", "token.b]");
    http_response_wrong: http(&["response"], "response = { expires_in = \"result.expires_in\", expires_at = \"/a~b\", refresh_token = \"/next\", token_type = \"/t\" }\n");
    http_ttl_against_the_schedule: http(&[], "ttl = \"10m\"\nrotate_before = \"10m\"\nmin_interval = \"1h\"\n");
    http_reach_wrong: http(&[], "timeout = \"0s\"\nttl = 3600\nallow_http = \"yes\"\nca_file = \"gone.pem\"\n");
    http_ca_file_is_no_certificate: http(&[], "ca_file = \"key.pem\"\n");
    http_form_of_numbers: http(&["form"], "form = { key = \"{{ secret }}\", n = 3, deep = { a = \"b\" } }\n");
    github_nothing_given: "[token.gh]\nsource = \"github-app\"\n".into();
    github_owner_is_the_files: github(&["installation_id"], "owner = \"root\"\n");
    github_named_twice: github(&[], "client_id = \"Iv1.x\"\nrepository = \"acme/jobs\"\ninstallation_owner = \"acme\"\n");
    github_names_wrong: github(&["installation_id", "app_id"], "app_id = \"app\"\nrepository = \"jobs\"\nrepositories = [\"acme/jobs\", \"\"]\npermissions = { contents = \"all\", \"Issues!\" = \"read\" }\n");
    github_key_is_no_rsa: github(&["private_key"], "private_key.file = \"key.pem\"\n");
    github_api_in_clear: github(&[], "api_url = \"http://ghe.example/api/v3\"\n");
    command_nothing_given: "[token.cmd]\nsource = \"command\"\n".into();
    command_missing: command(&["command"], "command = [\"no-such-program\"]\n") + &command(&["command"], "command = [\"./good.secret\"]\n").replace("cmd", "cmd2");
    command_env_wrong: command(&[], "env = { \"A=B\" = \"x\", C = 1, D = \"{{ refresh_token }}\", E = \"{{ secret }}\" }\nresponse = { token = \"/t\", refresh_token = \"/r\" }\n");
    command_secret_used_nowhere: command(&[], "secret.file = \"good.secret\"\nca_file = \"x\"\n");
}

#[test]
fn every_source_is_taken() {
    let all = [
        oauth2(&[], "scope = \"read write\"\nparams = { audience = \"api\", resource = [\"https://a.example\", \"https://b.example\"] }\nca_file = \"cert.pem\"\ntimeout = \"5s\"\nttl = \"1h\"\nrotate_before = \"10m\"\n"),
        oauth2(&["token_url", "client_secret"], "issuer = \"https://idp.example/realms/a\"\nclient_cert.file = \"cert.pem\"\nclient_key.file = \"key.pem\"\n").replace("api]", "tls]"),
        oauth2(&["grant", "client_secret"], "grant = \"refresh_token\"\nrefresh_token.file = \"good.secret\"\n").replace("api]", "refresh]"),
        oauth2(&["grant", "client_secret"], "grant = \"token_exchange\"\nsubject_token = { file = \"/run/id.jwt\" }\n").replace("api]", "exchange]"),
        oauth2(&["grant"], "grant = \"token_exchange\"\nsubject_token = { token = \"api\", type = \"urn:x:y\" }\nclient_auth = \"client_secret_post\"\n").replace("api]", "exchange2]"),
        oauth2(&["client_secret", "token_url"], "token_url = \"http://127.0.0.1:8080/token\"\nassertion = { algorithm = \"ES256\", private_key.file = \"key.pem\", header.kid = \"k\" }\n").replace("api]", "key]"),
        oauth2(&[], "client_auth = \"client_secret_jwt\"\n").replace("api]", "secret-jwt]"),
        google(&[], "assertion.claims.sub = \"robot@project.example\"\n"),
        google(&["scope"], "target_audience = \"https://job.example\"\n").replace("token.g]", "token.id]"),
        entra(&[], ""),
        entra(&["client_secret"], "client_cert.file = \"cert.pem\"\nclient_key.file = \"rsa.pem\"\n").replace("token.e]", "token.e2]"),
        http(&[], "bearer.token = \"api\"\nheaders = { accept = \"application/json\", x-other = \"{{ token.gh }}\" }\n"),
        http(&["form", "secret", "response"], "json = { a = [\"{{ refresh_token }}\", 1] }\nrefresh_token.value = \"first\"\nresponse = { token = \"/t\", expires_at = \"/e\", refresh_token = \"/r\" }\nurl = \"http://api.example/token\"\nallow_http = true\n").replace("url = \"https://api.example/token\"\n", "").replace("portal]", "renewing]"),
        http(&["form"], "headers = { x-key = \"{{ secret }}\" }\n").replace("portal]", "get]"),
        github(&["app_id", "installation_id"], "app_id = 12345\nrepository = \"acme/jobs\"\npermissions = { contents = \"read\" }\nrepositories = [\"jobs\"]\napi_url = \"https://ghe.example/api/v3/\"\nowner = \"root\"\n"),
        command(&[], "env = { A = \"{{ secret }}\", B = \"{{ token.api }}\" }\nsecret.file = \"good.secret\"\nresponse = { token = \"/t\" }\nttl = \"1h\"\n"),
    ];
    let config = all.join("\n");
    let home = home();
    home.file("config.toml", &config);
    assert_eq!(home.check(), "ok: 16 tokens, 0 outputs\nexit 0\n");
    let single: Vec<_> =
        planned(config).into_iter().filter(|token| token.single_use).map(|token| token.name.to_string()).collect();
    assert_eq!(single, ["refresh", "renewing"]);
}

fn name(name: &str) -> TokenName {
    TokenName::new(name).unwrap()
}

#[test]
fn oauth2_becomes_its_plan() {
    let lines = "params = { a = [\"1\", \"2\"], b = \"3\" }\nscope = \"s\"\n";
    let SourcePlan::OAuth2(plan) = &planned(oauth2(&[], lines))[0].source else { panic!("no oauth2") };
    assert_eq!(plan.endpoint, TokenEndpoint::Url("https://idp.example/token".into()));
    let params = [("a", "1"), ("a", "2"), ("b", "3")].map(|(name, value)| (name.to_string(), value.to_string()));
    let written = plan.params.iter().map(|(name, value)| (name.clone(), value.source())).collect::<Vec<_>>();
    assert_eq!(written, params);
    assert_eq!((plan.client_id.as_deref(), plan.scope.as_deref()), (Some("jobs"), Some("s")));
    assert_eq!((plan.reach.timeout.as_secs(), plan.reach.allow_http, plan.reach.ttl), (30, false, None));
    assert!(matches!(plan.grant, Grant::ClientCredentials));
    let ClientAuth::Basic(secret) = &plan.client_auth else { panic!("{:?}", plan.client_auth) };
    assert_eq!(secret.expose(), SECRET);

    let config = "[token.a]\nsource = \"oauth2\"\nissuer = \"http://localhost\"\ngrant = \"token_exchange\"\nsubject_token.token = \"b\"\n[token.b]\nsource = \"command\"\ncommand = [\"true\"]\n";
    let tokens = planned(config.into());
    assert_eq!(*tokens[0].parents, [name("b")]);
    let SourcePlan::OAuth2(plan) = &tokens[0].source else { panic!("no oauth2") };
    let Grant::TokenExchange { subject, subject_type } = &plan.grant else { panic!("{:?}", plan.grant) };
    assert_eq!(
        (subject, subject_type.as_str()),
        (&SubjectToken::Token(name("b")), "urn:ietf:params:oauth:token-type:jwt")
    );
    assert!(matches!(plan.client_auth, ClientAuth::None));
}

/// One key signs for the grant, with its claims, and for the client, without them.
#[test]
fn two_assertions_have_one_key_and_the_grants_claims() {
    let lines = "grant = \"jwt_bearer\"\nclient_auth = \"private_key_jwt\"\nassertion = { algorithm = \"ES256\", private_key.file = \"key.pem\", claims = { sub = \"robot\" }, lifetime = \"1m\" }\n";
    let SourcePlan::OAuth2(plan) = &planned(oauth2(&["grant", "client_secret"], lines))[0].source else {
        panic!("no oauth2")
    };
    let (Grant::JwtBearer(grant), ClientAuth::Jwt(client)) = (&plan.grant, &plan.client_auth) else {
        panic!("{plan:?}")
    };
    assert_eq!(serde_json::Value::Object(grant.claims.clone()), json!({ "sub": "robot" }));
    assert!(client.claims.is_empty());
    assert!(std::sync::Arc::ptr_eq(&grant.key, &client.key));
    assert_eq!((client.lifetime.as_secs(), client.algorithm.word()), (60, "ES256"));
}

#[test]
fn presets_fill_in_what_they_know() {
    let SourcePlan::OAuth2(plan) = &planned(google(&[], "assertion.claims.sub = \"me\"\n"))[0].source else {
        panic!("no oauth2")
    };
    assert_eq!(plan.endpoint, TokenEndpoint::Url("https://oauth2.googleapis.com/token".into()));
    let Grant::JwtBearer(grant) = &plan.grant else { panic!("{:?}", plan.grant) };
    let claims = json!({ "iss": "jobs@project.iam.gserviceaccount.com", "scope": "https://www.googleapis.com/auth/devstorage.read_only", "sub": "me" });
    assert_eq!(serde_json::Value::Object(grant.claims.clone()), claims);
    assert_eq!(serde_json::Value::Object(grant.header.clone()), json!({ "kid": "k1" }));
    assert_eq!((grant.algorithm.word(), &plan.client_id, &plan.scope), ("RS256", &None, &None));

    let SourcePlan::OAuth2(plan) = &planned(entra(&[], ""))[0].source else { panic!("no oauth2") };
    assert_eq!(
        plan.endpoint,
        TokenEndpoint::Url("https://login.microsoftonline.com/contoso.example/oauth2/v2.0/token".into())
    );
    assert!(matches!((&plan.grant, &plan.client_auth), (Grant::ClientCredentials, ClientAuth::Post(_))));
    assert_eq!(plan.scope.as_deref(), Some("https://graph.microsoft.com/.default"));

    let lines = "client_cert.file = \"cert.pem\"\nclient_key.file = \"rsa.pem\"\nscope = \"api://x/.default\"\n";
    let SourcePlan::OAuth2(plan) = &planned(entra(&["client_secret"], lines))[0].source else { panic!("no oauth2") };
    let ClientAuth::Jwt(assertion) = &plan.client_auth else { panic!("{:?}", plan.client_auth) };
    // openssl x509 -outform DER | openssl dgst -sha256 -binary | basenc --base64url
    assert_eq!(
        serde_json::Value::Object(assertion.header.clone()),
        json!({ "x5t#S256": "VNLsN0Pn6niIXlY3D3-FsPktX0giyp1LxA6mKxOotoQ" })
    );
    assert_eq!((assertion.algorithm.word(), plan.scope.as_deref()), ("PS256", Some("api://x/.default")));
}

#[test]
fn http_github_and_command_become_their_plans() {
    let lines = "bearer.token = \"gh\"\nheaders = { x = \"{{ token.cmd }}{{ token.gh }}\" }\nmethod = \"PUT\"\n";
    let gh = github(&["installation_id"], "installation_owner = \"acme\"\napi_url = \"https://ghe.example/api/v3/\"\n");
    let cmd = command(&[], "env.A = \"{{ secret }}\"\nsecret.file = \"good.secret\"\n");
    let tokens = planned(http(&[], lines) + &gh + &cmd);
    assert_eq!(*tokens[0].parents, [name("gh"), name("cmd")]);
    let SourcePlan::Http(plan) = &tokens[0].source else { panic!("no http") };
    assert_eq!((plan.method.as_str(), plan.bearer.as_ref(), plan.headers.len()), ("PUT", Some(&name("gh")), 1));
    assert_eq!((plan.response.token.as_str(), &plan.response.expires_in), ("/token", &None));
    let SourcePlan::GithubApp(plan) = &tokens[1].source else { panic!("no github-app") };
    assert_eq!((plan.app.as_str(), &plan.installation), ("12345", &Installation::Owner("acme".into())));
    assert_eq!(plan.api_url, "https://ghe.example/api/v3");
    let SourcePlan::Command(plan) = &tokens[2].source else { panic!("no command") };
    assert_eq!(
        (plan.argv.as_slice(), plan.timeout.as_secs(), plan.env.len()),
        (&["true".into(), "--now".into()][..], 30, 1)
    );
    assert_eq!(plan.secret.as_ref().map(|secret| secret.expose().as_str()), Some(SECRET));
}

/// Credentials and certificates are watched; a subject token's file is read when it is needed, and not watched.
#[test]
fn files_of_credentials_are_watched_and_subjects_are_not() {
    let home = home();
    let subject = "subject_token.file = \"subject.jwt\"\nca_file = \"cert.pem\"\ngrant = \"token_exchange\"\n";
    home.file("config.toml", oauth2(&["grant"], subject) + &github(&[], "") + &google(&[], ""));
    let plan = home.load().plan.unwrap();
    let watched = |name: &str| plan.watched_files.contains(&home.path.join(name));
    for name in ["good.secret", "cert.pem", "rsa.pem", "account.json"] {
        assert!(watched(name), "{name}");
    }
    assert!(!watched("subject.jwt"));
}

/// Whatever the source lacks, the rest of the config runs.
#[test]
fn a_source_that_lacks_something_is_not_asked() {
    let home = home();
    let gone = "client_secret.file = \"gone.secret\"\nca_file = \"gone.pem\"\n";
    home.file(
        "config.toml",
        oauth2(&["client_secret"], gone) + &command(&["command"], "command = [\"no-such-program\"]\n") + &http(&[], ""),
    );
    let plan = home.load().plan.unwrap();
    let lacking = |token: &Arc<TokenPlan>| (matches!(token.source, SourcePlan::Lacking(..)), token.lack.is_some());
    assert_eq!(plan.tokens.iter().map(lacking).collect::<Vec<_>>(), [(true, true), (true, true), (false, false)]);
    assert_eq!(plan.tokens[0].source.kind().word(), "oauth2");
    assert_eq!(plan.lacks.len(), 3);
}

/// Every place where a secret may stand in a source's table: no message, drawn line or `Debug` shows it.
#[test]
fn no_secret_of_a_source_is_ever_shown() {
    let secret = "hunter2 with spaces";
    let shapes = [
        oauth2(&["client_secret"], "client_secret.value = \"{}\"\nzzz = 1\n"),
        oauth2(&[], "params = { password = \"{}\", n = 1 }\n"),
        oauth2(&[], "params = { password = \"{}\" }\n"),
        oauth2(&[], "params = { client_secret = \"{}\" }\n"),
        oauth2(&[], "params = \"{}\"\n"),
        oauth2(&[], "subject_token = \"{}\"\n"),
        oauth2(&[], "subject_token.token = \"{}\"\n"),
        oauth2(&[], "assertion = \"{}\"\n"),
        oauth2(&[], "headers = { authorization = \"{}\" }\n"),
        oauth2(&["token_url"], "token_url = \"https://{}@idp.example\"\n"),
        http(&[], "headers = { authorization = \"{}\", b = 1 }\n"),
        http(&[], "headers = { authorization = \"Basic {}\" }\n"),
        http(&[], "headers = { authorization = \"{}\", Authorization = \"{}\" }\n"),
        http(&[], "headers = { host = \"{}\" }\n"),
        http(&[], "headers = \"{}\"\n"),
        http(&["form"], "form = { a = \"{} {{ secret\" }\n"),
        http(&["form"], "form = { a = \"{{{}}}\" }\n"),
        http(&["form"], "form = { a = [\"{}\", 1] }\n"),
        http(&["form"], "json = { a = { b = [\"{}\", 2020-01-01] } }\n"),
        http(&["form"], "json = { a = \"{}\", b = \"{{ secret }}\" }\n"),
        http(&[], "json = { a = \"{}\" }\n"),
        http(&[], "json = \"{}\"\n"),
        http(&[], "bearer = \"{}\"\n"),
        http(&[], "bearer.token = \"{}\"\n"),
        http(&["url"], "url = \"{}\"\n"),
        command(&[], "env = { A = \"{}\", B = 1 }\n"),
        command(&[], "env = { A = \"{}\" }\n"),
        command(&[], "env = \"{}\"\n"),
        command(&[], "command = [\"true\", \"{}\"]\n").replace("command = [\"true\", \"--now\"]\n", ""),
        google(&["service_account"], "service_account.value = \"{}\"\n"),
        google(&["service_account"], "service_account = \"{}\"\n"),
        github(&["private_key"], "private_key.value = \"{}\"\n"),
    ];
    for shape in shapes {
        let home = home();
        home.file("config.toml", shape.replace("{}", secret));
        let loaded = home.load();
        let drawn =
            loaded.report.render(false) + &loaded.report.render(true) + &format!("{loaded:?} {:#?}", loaded.plan);
        let lines: String = loaded.report.lines().map(|(_, line)| line).collect();
        assert!(!drawn.contains("hunter2") && !lines.contains("hunter2"), "{shape}\n{drawn}\n{lines}");
    }
}
