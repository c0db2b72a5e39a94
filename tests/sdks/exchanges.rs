//! Clouds that take our token and give credentials for it: what their SDK sends is the token in the file, to the byte, and
//! after a rotation the new one, from the same process.

use serde_json::{Value, json};

use crate::issuers::{Issuers, text};
use crate::job::Job;
use crate::page::{Part, part};
use crate::venv::{Venv, venv};
use support::{Daemon, Jwt, Sandbox};

/// A daemon with a config of the page, and the endpoints of a cloud.
struct Cloud<'a> {
    part: Part,
    name: &'static str,
    sandbox: &'a Sandbox,
    venv: Venv,
    issuers: Issuers,
    daemon: Daemon<'a>,
}

impl<'a> Cloud<'a> {
    fn of(name: &'static str, test: &str, sandbox: &'a Sandbox) -> Option<Self> {
        let (venv, part) = (venv(test)?, part(name));
        let issuers = Issuers::start(&venv, sandbox, &part);
        sandbox.config(part.config(sandbox));
        Some(Self { part, name, sandbox, venv, issuers, daemon: sandbox.start() })
    }

    /// A job with the unit's environment, and what leads the SDK here.
    fn job(&self, further: &[(&str, String)]) -> Job {
        let mut environment = self.part.environment(self.sandbox);
        environment.extend(further.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        Job::start(&self.venv, self.sandbox, &[self.name], &environment)
    }

    fn file(&self) -> String {
        self.sandbox.read(&format!("{}.token", self.name))
    }

    /// The token in the file after a rotation.
    #[track_caller]
    fn rotated(&self) -> String {
        let before = self.file();
        assert!(self.sandbox.rotate(&[self.name]), "a rotation");
        let after = self.file();
        assert_ne!(after, before);
        after
    }

    /// The exchange number `n`, which is the latest: it brought `token`, it was believed, and the SDK took what it gave.
    #[track_caller]
    fn exchanged(&self, n: usize, token: &str, got: &Value) -> Value {
        let mut exchanges = self.issuers.exchanges();
        assert_eq!(exchanges.len(), n, "{exchanges:#?}");
        let latest = exchanges.pop().expect("one");
        assert_eq!(latest["problem"], Value::Null, "{latest:#}");
        assert_eq!(latest["token"], token, "the token in the file");
        assert_eq!(&latest["issued"], got, "what the SDK hands to its user");
        latest
    }

    fn end(self) {
        self.daemon.stop();
    }
}

#[track_caller]
fn has(form: &Value, members: Value) {
    for (name, wanted) in members.as_object().expect("an object") {
        assert_eq!(&form["form"][name], wanted, "{name} in {form:#}");
    }
}

/// The value that the page gives a variable.
#[track_caller]
fn given(cloud: &Cloud<'_>, variable: &str) -> String {
    let all = cloud.part.environment(cloud.sandbox);
    all.into_iter().find(|(name, _)| name == variable).unwrap_or_else(|| panic!("no {variable}")).1
}

#[test]
fn boto3_assumes_its_role_with_the_token_in_the_file() {
    let sandbox = Sandbox::new();
    let test = "boto3_assumes_its_role_with_the_token_in_the_file";
    let Some(cloud) = Cloud::of("aws", test, &sandbox) else { return };
    let here = [("AWS_ENDPOINT_URL_STS", cloud.issuers.url.clone()), ("AWS_CA_BUNDLE", cloud.issuers.ca.clone())];
    let mut job = cloud.job(&here);

    let first = cloud.file();
    let exchange = cloud.exchanged(1, &first, &job.ask());
    has(&exchange, json!({"Action": "AssumeRoleWithWebIdentity", "RoleArn": given(&cloud, "AWS_ROLE_ARN")}));
    has(&exchange, json!({"RoleSessionName": given(&cloud, "AWS_ROLE_SESSION_NAME")}));
    // The audience that STS wants of those who register no other.
    assert_eq!(cloud.part.value("aud"), "sts.amazonaws.com");

    let second = cloud.rotated();
    cloud.exchanged(2, &second, &job.ask());
    cloud.end();
}

/// The SDK keeps what it read for ten minutes, as the page says; the token that it kept is good that long.
#[test]
fn azure_identity_sends_the_token_in_the_file() {
    let sandbox = Sandbox::new();
    let Some(cloud) = Cloud::of("azure", "azure_identity_sends_the_token_in_the_file", &sandbox) else { return };
    let here = [("AZURE_AUTHORITY_HOST", cloud.issuers.url.clone()), ("REQUESTS_CA_BUNDLE", cloud.issuers.ca.clone())];
    let mut job = cloud.job(&here);

    let first = cloud.file();
    let exchange = cloud.exchanged(1, &first, &job.ask());
    assert_eq!(exchange["path"], format!("/{}/oauth2/v2.0/token", given(&cloud, "AZURE_TENANT_ID")));
    has(&exchange, json!({"grant_type": "client_credentials", "client_id": given(&cloud, "AZURE_CLIENT_ID")}));
    let of_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    has(&exchange, json!({"client_assertion_type": of_type}));
    // The audience that Entra wants of everybody.
    assert_eq!(cloud.part.value("aud"), "api://AzureADTokenExchange");

    let second = cloud.rotated();
    cloud.exchanged(2, &first, &job.ask());
    cloud.exchanged(3, &second, &job.ask_later(601));

    let planned = cloud.daemon.token("azure");
    let time = |member: &str| planned[member].as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok());
    let left = time("expires_at").zip(time("next_rotation_at")).map(|(end, next)| end.as_second() - next.as_second());
    assert!(left.is_some_and(|left| left > 601), "what the SDK keeps outlives its rotation: {planned:#}");
    cloud.end();
}

#[test]
fn google_auth_exchanges_the_token_in_the_file() {
    let sandbox = Sandbox::new();
    let Some(cloud) = Cloud::of("google", "google_auth_exchanges_the_token_in_the_file", &sandbox) else { return };
    let mut account: Value = serde_json::from_str(&cloud.part.block(&sandbox, "json")).expect("JSON");
    account["token_url"] = format!("{}/v1/token", cloud.issuers.url).into();
    let account_file = text(sandbox.put("google.json", account.to_string()));
    let here = [("GOOGLE_APPLICATION_CREDENTIALS", account_file), ("REQUESTS_CA_BUNDLE", cloud.issuers.ca.clone())];
    let mut job = cloud.job(&here);

    let first = cloud.file();
    let exchange = cloud.exchanged(1, &first, &job.ask());
    assert_eq!(exchange["path"], "/v1/token");
    has(&exchange, json!({"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange"}));
    has(&exchange, json!({"audience": account["audience"], "subject_token_type": account["subject_token_type"]}));
    let claimed = Jwt::parse(&first).expect("a JWT").claims;
    assert_eq!(claimed["aud"], format!("https:{}", account["audience"].as_str().expect("a text")));

    let second = cloud.rotated();
    cloud.exchanged(2, &second, &job.ask());
    cloud.end();
}
