//! Owns: the kinds of token that `init` knows: what each needs to be told, and the lines of its config.
//! Does not: ask, read or write.

use std::collections::BTreeMap;

use clap::ValueEnum;

use crate::core::config::keys::toml_text;
use crate::core::words::words;

words! {
    /// What a token is for.
    #[derive(ValueEnum)]
    pub(crate) enum InitKind {
        /// A token signed with the key and secret of the Sunbird portal
        Sunbird = "sunbird",
        /// A token signed for Kong's jwt plugin
        Kong = "kong",
        /// Client credentials at an OAuth 2.0 server
        Oauth2 = "oauth2",
        /// An installation access token of a GitHub App
        GithubApp = "github-app",
        /// An access token of a Google service account
        Google = "google",
        /// An access token of Microsoft Entra
        Entra = "entra",
        /// A provider token for Apple push notifications
        Apns = "apns",
        /// A token from the JSON answer of any address
        Http = "http",
        /// A token that a program prints
        Command = "command",
    }
}

/// What a kind needs to be told.
pub(super) struct Field {
    /// Without the dashes.
    pub flag: &'static str,
    pub question: &'static str,
    pub needed: bool,
    /// Another flag that will do in its place.
    pub or: Option<&'static str>,
}

/// The secret that goes into a file of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SecretFile {
    /// One line.
    Text(&'static str),
    /// A key file, of several lines.
    File(&'static str),
    /// One line, or nothing.
    Optional(&'static str),
}

/// Answers by flag.
#[derive(Default)]
pub(super) struct Answers(BTreeMap<&'static str, String>);

impl Answers {
    pub(super) fn set(&mut self, flag: &'static str, value: String) {
        self.0.insert(flag, value);
    }

    pub(super) fn has_either(&self, field: &Field) -> bool {
        self.0.contains_key(field.flag) || field.or.is_some_and(|or| self.0.contains_key(or))
    }

    fn get(&self, flag: &str) -> Option<&str> {
        self.0.get(flag).map(String::as_str)
    }

    /// As TOML writes it.
    fn toml(&self, flag: &str) -> String {
        toml_text(self.get(flag).unwrap_or_default())
    }
}

const fn needed(flag: &'static str, question: &'static str) -> Field {
    Field { flag, question, needed: true, or: None }
}

const fn optional(flag: &'static str, question: &'static str) -> Field {
    Field { flag, question, needed: false, or: None }
}

const SIGNED: &[Field] = &[needed("key", "The key (the public name of the credential)")];
const OAUTH2: &[Field] = &[
    Field { or: Some("url"), ..optional("issuer", "The issuer's address, which tells the token endpoint") },
    Field { or: Some("issuer"), ..needed("url", "The token endpoint") },
    needed("client-id", "The client's id"),
    optional("scope", "The scopes, with a space between"),
];
const GITHUB_APP: &[Field] = &[
    needed("client-id", "The app's client id, or its App ID"),
    needed("installation", "The installation's id, its OWNER, or OWNER/REPOSITORY"),
];
const GOOGLE: &[Field] = &[needed("scope", "The scope, as https://www.googleapis.com/auth/cloud-platform")];
const ENTRA: &[Field] = &[
    needed("tenant", "The tenant's id or domain"),
    needed("client-id", "The application's (client) id"),
    optional("scope", "The scope, where it is not that of Microsoft Graph"),
];
const APNS: &[Field] = &[needed("key", "The Key ID, 10 characters"), needed("team", "The Team ID, 10 characters")];
const HTTP: &[Field] = &[needed("url", "The address that is asked")];
const COMMAND: &[Field] = &[needed("program", "The program that prints the token")];

impl InitKind {
    pub(super) fn usual_name(self) -> &'static str {
        match self {
            Self::Oauth2 => "api",
            Self::GithubApp => "github",
            Self::Http => "portal",
            other => other.word(),
        }
    }

    pub(super) fn fields(self) -> &'static [Field] {
        match self {
            Self::Sunbird | Self::Kong => SIGNED,
            Self::Oauth2 => OAUTH2,
            Self::GithubApp => GITHUB_APP,
            Self::Google => GOOGLE,
            Self::Entra => ENTRA,
            Self::Apns => APNS,
            Self::Http => HTTP,
            Self::Command => COMMAND,
        }
    }

    pub(super) fn secret(self) -> SecretFile {
        match self {
            Self::Sunbird | Self::Kong => SecretFile::Text("The secret of that key"),
            Self::Oauth2 | Self::Entra => SecretFile::Text("The client secret"),
            Self::Http => SecretFile::Text("The secret that is sent"),
            Self::GithubApp => SecretFile::File("the app's private key (PEM, as GitHub hands it out)"),
            Self::Google => SecretFile::File("the service account's key (JSON, as Google hands it out)"),
            Self::Apns => SecretFile::File("the key AuthKey_....p8, as Apple hands it out"),
            Self::Command => {
                SecretFile::Optional("A secret that the program needs in its environment (Return for none)")
            }
        }
    }

    /// What the secret's file is called behind the token's name.
    pub(super) fn secret_ending(self) -> &'static str {
        match self {
            Self::GithubApp => "pem",
            Self::Google => "json",
            Self::Apns => "p8",
            _ => "secret",
        }
    }

    /// The lines of `[token.NAME]`, without its output.
    pub(super) fn lines(self, answers: &Answers, secret: Option<&str>) -> String {
        let file = toml_text(secret.unwrap_or_default());
        match self {
            Self::Sunbird => signed(answers, &file, "1h"),
            // Kong may be told of a longest life.
            Self::Kong => signed(answers, &file, "15m"),
            Self::Oauth2 => oauth2(answers, &file),
            Self::GithubApp => github_app(answers, &file),
            Self::Google => format!(
                "source = \"oauth2\"\npreset = \"google-service-account\"      # knows Google's endpoint and grant\n\
                 service_account.file = {file}\nscope = {}\n",
                answers.toml("scope")
            ),
            Self::Entra => entra(answers, &file),
            Self::Apns => format!(
                "source = \"jwt\"\nalgorithm = \"ES256\"\nkey = {}                   # the Key ID\n\
                 key_claim = \"kid\"                    # goes into the header\nprivate_key.file = {file}\n\
                 claims = {{ iss = {}, exp = false, jti = false }}   # iss: the Team ID; Apple counts from iat\n\
                 lifetime = \"never\"                   # what goes with a token without exp\n\
                 rotate_every = \"50m\"                 # Apple refuses one that is older than an hour,\n\
                 min_interval = \"20m\"                 # and a new one within 20 minutes\n",
                answers.toml("key"),
                answers.toml("team")
            ),
            Self::Http => format!(
                "source = \"http\"\nurl = {}\n# What is sent. As a form: form = {{ ... }}. In a header: method = \"GET\", headers = {{ x-api-key = \
                 \"{{{{ secret }}}}\" }}.\njson = {{ secret = \"{{{{ secret }}}}\" }}\nsecret.file = {file}\n\
                 # Where the token and its lifetime in seconds stand in the answer, as JSON pointers.\n\
                 response = {{ token = \"/access_token\", expires_in = \"/expires_in\" }}\n\
                 # ttl = \"1h\"                         # the lifetime, where the answer tells none\n",
                answers.toml("url")
            ),
            Self::Command => command(answers, secret.map(|_| file.as_str())),
        }
    }
}

fn signed(answers: &Answers, file: &str, lifetime: &str) -> String {
    format!(
        "source = \"jwt\"                       # signed here: no endpoint is asked\nalgorithm = \"HS256\"\n\
         key = {}                    # becomes the claim iss\nsecret.file = {file}\n\
         lifetime = \"{lifetime}\"                     # from issue to expiry; rotated after two thirds of it\n\
         # skew = \"30s\"                       # backdates iat, for gateways whose clocks are late\n",
        answers.toml("key")
    )
}

fn oauth2(answers: &Answers, file: &str) -> String {
    let endpoint = match answers.get("issuer") {
        Some(_) => {
            format!("issuer = {}                 # is asked where its token endpoint is", answers.toml("issuer"))
        }
        None => format!("token_url = {}", answers.toml("url")),
    };
    let scope = match answers.get("scope") {
        Some(_) => format!("scope = {}", answers.toml("scope")),
        None => "# scope = \"read write\"".into(),
    };
    format!(
        "source = \"oauth2\"\n{endpoint}\ngrant = \"client_credentials\"\nclient_id = {}\nclient_secret.file = {file}\n\
         # client_auth = \"client_secret_post\" # where the server wants the secret in the form\n{scope}\n\
         # params = {{ audience = \"api\" }}      # further form fields\n",
        answers.toml("client-id")
    )
}

fn github_app(answers: &Answers, file: &str) -> String {
    let digits = |flag| answers.get(flag).is_some_and(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
    let app = if digits("client-id") { "app_id" } else { "client_id" };
    let installation = match answers.get("installation") {
        Some(value) if value.contains('/') => "repository",
        _ if digits("installation") => "installation_id",
        _ => "installation_owner",
    };
    format!(
        "source = \"github-app\"\n{app} = {}\nprivate_key.file = {file}\n{installation} = {}\n\
         # permissions = {{ contents = \"read\" }}   # default: all that the installation may\n\
         # repositories = [\"jobs\"]             # default: all that it sees\n",
        answers.toml("client-id"),
        answers.toml("installation")
    )
}

fn entra(answers: &Answers, file: &str) -> String {
    let scope = match answers.get("scope") {
        Some(_) => format!("scope = {}", answers.toml("scope")),
        None => "# scope = \"https://graph.microsoft.com/.default\"   # what it is without this line".into(),
    };
    format!(
        "source = \"oauth2\"\npreset = \"entra\"                     # knows the tenant's endpoint\ntenant = {}\nclient_id = {}\n\
         client_secret.file = {file}\n{scope}\n",
        answers.toml("tenant"),
        answers.toml("client-id")
    )
}

fn command(answers: &Answers, file: Option<&str>) -> String {
    let secret = match file {
        Some(file) => format!(
            "secret.file = {file}\nenv = {{ API_SECRET = \"{{{{ secret }}}}\" }}   # what the program finds it by\n"
        ),
        None => String::new(),
    };
    format!(
        "source = \"command\"\ncommand = [{}]   # the program and its arguments; no shell\n{secret}\
         # It prints the token alone; or JSON, in which it stands at a JSON pointer:\n\
         # response = {{ token = \"/token\", expires_at = \"/expiry\" }}\n\
         ttl = \"1h\"                           # the lifetime at most; needed where neither the token nor JSON tells one\n",
        answers.toml("program")
    )
}
